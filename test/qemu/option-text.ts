/**
 * What QEMU makes of key=value text, written from its documentation and not from our renderer: properties end at a comma
 * that is not doubled, a key at the first `=`, and a first word without `=` is the value of the implied key.
 */
export function readKeyval(text: string, impliedKey?: string): [key: string, value: string][] {
  const pieces: string[] = [];
  let piece = '';
  for (let index = 0; index < text.length; index++) {
    if (text[index] !== ',') piece += text[index];
    else if (text[index + 1] === ',') {
      piece += ',';
      index++;
    } else {
      pieces.push(piece);
      piece = '';
    }
  }
  pieces.push(piece);
  return pieces.map((each, index) => {
    const equals = each.indexOf('=');
    if (equals >= 0) return [each.slice(0, equals), each.slice(equals + 1)];
    return index === 0 && impliedKey !== undefined ? [impliedKey, each] : [each, 'on'];
  });
}

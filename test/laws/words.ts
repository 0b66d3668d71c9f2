/** Words that a regular expression of the kind that `slips` hold matches as a whole: each alternative, with and without what may be missing. */
export function wordsOf(pattern: string): string[] {
  const words = new Reader(pattern).alternatives();
  const wrong = words.find((word) => !new RegExp(`^(?:${pattern})$`).test(word));
  if (wrong !== undefined) throw new Error(`${pattern} does not match ${wrong}`);
  return words;
}

/** One word for each class of characters is enough. */
const CLASS_MEMBERS: { readonly [letter: string]: string } = { d: '7', w: 'w' };

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  alternatives(): string[] {
    const words = this.#sequence();
    while (this.#text[this.#at] === '|') {
      this.#at++;
      words.push(...this.#sequence());
    }
    return words;
  }

  #sequence(): string[] {
    let words = [''];
    while (this.#at < this.#text.length && !'|)'.includes(this.#text[this.#at] ?? '')) {
      const parts = this.#repeated(this.#atom());
      words = words.flatMap((word) => parts.map((part) => word + part));
    }
    return words;
  }

  #atom(): string[] {
    const char = this.#text[this.#at++] ?? '';
    if (char === '(') {
      if (this.#text.startsWith('?:', this.#at)) this.#at += 2;
      const words = this.alternatives();
      this.#at++;
      return words;
    }
    if (char === '\\') {
      const escaped = this.#text[this.#at++] ?? '';
      return [CLASS_MEMBERS[escaped] ?? escaped];
    }
    if (char === '.') return ['x'];
    if (char !== '[') return [char];
    const end = this.#text.indexOf(']', this.#at);
    // A number that is nowhere out of range.
    const members = this.#text.slice(this.#at, end);
    const first = members.startsWith('^') ? 'x' : members.includes('0-9') ? '1' : (members[0] ?? '');
    this.#at = end + 1;
    return [first];
  }

  #repeated(words: string[]): string[] {
    const sign = this.#text[this.#at] ?? '';
    const [whole, count] = /^\{(\d+)\}/.exec(this.#text.slice(this.#at)) ?? [];
    if (whole !== undefined) {
      this.#at += whole.length;
      return words.map((word) => word.repeat(Number(count)));
    }
    if (sign === '?' || sign === '*') {
      this.#at++;
      return ['', ...words];
    }
    if (sign === '+') this.#at++;
    return words;
  }
}

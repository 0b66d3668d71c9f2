import { describe, expect, it } from 'vitest';
import { CHECKOUT } from '../checkout.ts';
import { askInside } from './answers.ts';
import { MISSING } from './inside.ts';

const VM =
  'name: vm\ntemplate: other\nprofiles: [headless]\nmemory: 64M\ndisks: [{ file: disk.raw, cache: writeback }]\n';

/** What runs inside: ezvm as on any machine, every answer on the console behind a word that the tests look for. */
const inside = (dir: string): string => `
mkdir /run/here
cd /run/here
cp ${dir}/vm.yaml ${dir}/disk.raw .
export HOME=/run/here XDG_RUNTIME_DIR=/run/here/run XDG_STATE_HOME=/run/here/state XDG_CACHE_HOME=/run/here/cache
ezvm() { node ${CHECKOUT}/bin/ezvm.js "$@" 2>err; code=$?; sed 's/^/  stderr: /' err >&2; return $code; }
echo "cpu: $(sed -n 's/^flags.* svm .*/svm/p' /proc/cpuinfo | head -n 1)"
echo "kvm: $(ezvm facts | node -p 'JSON.stringify(JSON.parse(require("fs").readFileSync(0)).kvm)')"
echo "args: $(ezvm args vm.yaml | grep -E -- '-(accel|cpu) ' | tr -d '\\n')"
ezvm vm.yaml --i-know-qemu-runs-as-root; code=$?; echo "start: $code"; [ $code = 0 ] || exit
for try in $(seq 600); do grep -qs EZVM-UP state/ezvm/vm/serial0.log && break; sleep 0.1; done
echo "guest: $(grep -o EZVM-UP state/ezvm/vm/serial0.log)"
echo "query: $(ezvm qmp vm query-kvm | tr -d ' \\n')"
ezvm stop vm; echo "stop: $?"
echo "status: $(ezvm status vm)"
`;

describe.skipIf(MISSING !== undefined)(`where KVM works${MISSING ? ` (left out: ${MISSING})` : ''}`, () => {
  const said = askInside({
    name: 'l1',
    modules: ['kvm_amd'],
    files: (dir) => ({ 'vm.yaml': VM, 'inside.sh': inside(dir) }),
    guest: 'plain',
  });
  const { line } = said;

  it('the probe says that KVM can be used', () => {
    expect(line('cpu'), said.console).toBe('svm');
    expect(line('kvm'), said.console).toBe('{"usable":true}');
  });

  it('auto chooses KVM and the host’s own CPU', () => {
    expect(line('args'), said.console).toContain('-accel kvm');
    expect(line('args'), said.console).toContain('-cpu host');
  });

  it('a guest really runs by KVM, and is stopped in order', () => {
    expect(line('start'), said.console).toBe('0');
    expect(line('guest'), said.console).toBe('EZVM-UP');
    expect(line('query'), said.console).toBe('{"enabled":true,"present":true}');
    expect(line('stop'), said.console).toBe('0');
    expect(line('status'), said.console).toContain('stopped');
    expect(line('script'), said.console).toBe('0');
  });
});

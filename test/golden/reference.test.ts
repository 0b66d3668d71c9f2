import { join } from 'node:path';
import { expect, it } from 'vitest';
import { referenceOf } from '../../src/catalog/reference.ts';
import { CHECKOUT } from '../checkout.ts';
import { CATALOG } from '../one-device.ts';

it('the reference is what the templates say', async () => {
  await expect(referenceOf(CATALOG)).toMatchFileSnapshot(join(CHECKOUT, 'docs', 'reference.md'));
});

// The second half of `npm run build`: files that the compiler does not know, and that dist/ needs to run. Copies them to
// the same place below dist/ and changes nothing else.
import { cp } from 'node:fs/promises';

const folders = ['router/admin/page/'];

for (const folder of folders) {
  const from = new URL(`../src/${folder}`, import.meta.url);
  await cp(from, new URL(`../dist/${folder}`, import.meta.url), { recursive: true });
}

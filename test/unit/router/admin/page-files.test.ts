// The status page must work under its own Content-Security-Policy and without any network.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { before, describe, test } from 'node:test';
import { type PageFile, readPageFiles } from '../../../../src/router/admin/page-files.ts';

describe('the page', () => {
  let files: ReadonlyMap<string, PageFile>;
  const text = (path: string) => files.get(path)?.body.toString('utf8') ?? '';
  before(async () => {
    files = await readPageFiles();
  });

  test('serves every file of its folder', async () => {
    const names = await readdir(new URL('../../../../src/router/admin/page/', import.meta.url));
    const served = [...files.keys()].map((path) => (path === '/' ? 'index.html' : path.slice(1)));
    assert.deepEqual(served.toSorted(), names.toSorted());
  });

  test('has no inline script, style or handler', () => {
    const html = text('/');
    assert.doesNotMatch(html, /<script(?![^>]* src=)/i);
    assert.doesNotMatch(html, /<style|\sstyle=|\son[a-z]+=|javascript:/i);
  });

  test('names only files that are served here', () => {
    const named = [...text('/').matchAll(/(?:src|href)="([^"]*)"/g)].map((match) => match[1] ?? '');
    assert.ok(named.length > 3);
    for (const path of named) assert.ok(files.has(path), path);
    for (const [path, file] of files) {
      if (path.endsWith('.svg')) continue;
      assert.doesNotMatch(file.body.toString('utf8'), /https?:\/\/|@import|url\(/, path);
    }
  });

  test('puts text into the page as text only, and keeps nothing', () => {
    for (const path of ['/page.js', '/models.js', '/chat.js', '/sse.js']) {
      assert.doesNotMatch(
        text(path),
        /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function/,
        path,
      );
      assert.doesNotMatch(text(path), /localStorage|sessionStorage|indexedDB|document\.cookie/, path);
    }
  });

  test('gives every field a label and every id that the script uses', () => {
    const html = text('/');
    const ids = new Set([...html.matchAll(/\sid="([^"]+)"/g)].map((match) => match[1]));
    for (const [, id] of text('/page.js').matchAll(/element\('([^']+)'\)/g)) assert.ok(ids.has(id), id);
    for (const [, , id] of html.matchAll(/<(select|textarea|input)[^>]*\sid="([^"]+)"/g)) {
      assert.match(html, new RegExp(`<label[^>]* for="${id}"`), id);
    }
  });
});

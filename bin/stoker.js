#!/usr/bin/env node
// Starts Stoker under a Node that can run it: this one, or else the one that was installed beside it.
// This file has to be read by old Nodes too, so it keeps to plain JavaScript: no top-level await, no optional chaining.
// Importing the program starts it; this file must never read its arguments.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import module from 'node:module';
import path from 'node:path';
import tty from 'node:tty';
import { fileURLToPath, pathToFileURL } from 'node:url';

const nodeMajorMin = 24;
/** Set for the program that this launcher starts, so that two launchers never start each other in a circle. */
const relaunchMark = 'STOKER_RELAUNCHED';

const root = path.dirname(path.dirname(fs.realpathSync(fileURLToPath(import.meta.url))));

function fail(sentence) {
  process.stderr.write(`stoker: ${sentence}\n`);
  process.exitCode = 1;
}

/** The sources where Node may run them (it refuses to strip types below node_modules), or else the build. */
function findProgram() {
  const source = path.join(root, 'src', 'main', 'stoker.ts');
  const built = path.join(root, 'dist', 'main', 'stoker.js');
  const isInstalled = root.split(path.sep).indexOf('node_modules') >= 0;
  if (!isInstalled && fs.existsSync(source)) return source;
  return fs.existsSync(built) ? built : undefined;
}

/** Beside this package's own dependencies, or beside the package when it is itself a dependency. */
function findPinnedNode() {
  const places = [path.join(root, 'node_modules'), path.dirname(root), path.dirname(path.dirname(root))];
  return places.map((place) => path.join(place, '.bin', 'node')).find(fs.existsSync);
}

function runHere() {
  const program = findProgram();
  if (program === undefined) {
    fail(`there is no program in ${root}: run "npm run build" there, or install Stoker again.`);
    return;
  }
  // Compiled code is kept for the next start, also that of the processes which this one starts. Where the folder cannot be
  // written, Node goes on without.
  const cache = process.env.NODE_COMPILE_CACHE || path.join(root, '.cache', 'compiled');
  process.env.NODE_COMPILE_CACHE = cache;
  if (typeof module.enableCompileCache === 'function') module.enableCompileCache(cache);
  import(pathToFileURL(program).href).catch((error) => {
    fail(`could not start: ${error && error.stack ? error.stack : String(error)}`);
  });
}

function runUnder(node) {
  const args = [fileURLToPath(import.meta.url)].concat(process.argv.slice(2));
  const env = Object.assign({}, process.env);
  env[relaunchMark] = '1';
  const child = spawn(node, args, { stdio: 'inherit', env: env });

  function forward(signal) {
    // A terminal sends its interrupt to the child as well; a second one would mean "stop at once".
    if (signal === 'SIGINT' && tty.isatty(0)) return;
    child.kill(signal);
  }
  process.on('SIGINT', forward);
  process.on('SIGTERM', forward);

  child.on('error', (error) => {
    fail(`could not run ${node}: ${error.message}`);
  });
  child.on('exit', (code, signal) => {
    process.removeListener('SIGINT', forward);
    process.removeListener('SIGTERM', forward);
    if (signal) process.kill(process.pid, signal);
    else process.exitCode = code;
  });
}

function start() {
  if (Number(process.versions.node.split('.')[0]) >= nodeMajorMin) {
    runHere();
    return;
  }
  const pinned = process.env[relaunchMark] ? undefined : findPinnedNode();
  if (pinned) {
    runUnder(pinned);
    return;
  }
  fail(
    `Node ${nodeMajorMin} or newer is needed, and this is Node ${process.versions.node}. ` +
      `Install Node ${nodeMajorMin}, or on Linux run "npm ci" in ${root} without leaving out optional packages.`,
  );
}

start();

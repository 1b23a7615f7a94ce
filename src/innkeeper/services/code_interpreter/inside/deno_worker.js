// Runs JavaScript and TypeScript cells that share a scope, as Deno's own prompt does:
// deno_worker.js REQUESTS REPLIES. Requests and replies are as in python_worker.py. A cell with statements of
// `import` or `export` is a module of its own.
import inspector from 'node:inspector';
import { createRequire, stripTypeScriptTypes } from 'node:module';
import process from 'node:process';

const [requests, replies] = Deno.args.splice(0);
const output = Deno.openSync(`/proc/self/fd/${replies}`, { write: true });
const session = new inspector.Session();
session.connect();

const NOT_A_SCRIPT = /Cannot use import statement outside|Unexpected token 'export'|Cannot use 'import\.meta'/;
const keeper = { value: undefined };
let keeperId;
let count = 0;
let running = 0;  // the number of the cell that runs, 0 for none
let rich = false;
let items = [];
let before = {};  // the variables that this cell alone has otherwise

function ask(method, parameters) {
  return new Promise((resolve, reject) => {
    session.post(method, parameters, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

async function findKeeper() {
  globalThis.innkeeperKeeper = keeper;
  const { result } = await ask('Runtime.evaluate', { expression: 'globalThis.innkeeperKeeper' });
  delete globalThis.innkeeperKeeper;
  keeperId = result.objectId;
}

// The value that the inspector speaks of.
async function taken({ value, unserializableValue, objectId }) {
  await ask('Runtime.callFunctionOn', {
    objectId: keeperId,
    functionDeclaration: 'function (value) { this.value = value; }',
    arguments: [{ value, unserializableValue, objectId }],
  });
  await ask('Runtime.releaseObjectGroup', { objectGroup: 'cell' });
  const found = keeper.value;
  keeper.value = undefined;
  return found;
}

async function load(code, typescript) {
  const path = `${Deno.cwd()}/.cell-${count}.${typescript ? 'mts' : 'mjs'}`;
  Deno.writeTextFileSync(path, code);
  try {
    await import(`file://${path}`);
  } finally {
    Deno.removeSync(path);
  }
}

async function evaluate({ code, typescript }) {
  const expression = typescript ? stripTypeScriptTypes(code, { mode: 'transform' }) : code;
  const asked = { expression, replMode: true, awaitPromise: true, objectGroup: 'cell' };
  const { result, exceptionDetails } = await ask('Runtime.evaluate', asked);
  if (!exceptionDetails) return { value: await taken(result) };
  const error = await taken(exceptionDetails.exception);
  if (!(error instanceof SyntaxError && NOT_A_SCRIPT.test(error.message))) return { error, failed: true };
  await load(code, typescript);
  return {};
}

// Frames from our own on say nothing to the cell's author.
function report(error) {
  if (!(error instanceof Error) || typeof error.stack !== 'string') return `Uncaught ${Deno.inspect(error)}`;
  const lines = error.stack.split('\n');
  const ours = lines.findIndex((line) => /^\s+at .*(ext:|deno_worker\.js)/.test(line));
  return (ours < 0 ? lines : lines.slice(0, ours)).join('\n');
}

function setEnvironment(variables = {}) {
  before = Object.fromEntries(Object.keys(variables).map((name) => [name, Deno.env.get(name)]));
  for (const [name, value] of Object.entries(variables)) Deno.env.set(name, value);
}

function restoreEnvironment() {
  for (const [name, value] of Object.entries(before)) {
    if (value === undefined) Deno.env.delete(name);
    else Deno.env.set(name, value);
  }
}

function tell(error, text) {
  if (!rich) return console.error(text);
  const { name = 'Error', message = Deno.inspect(error) } = error instanceof Error ? error : {};
  return items.push({ type: 'error', name, value: message, traceback: text });
}

function show(value) {
  if (rich) items.push({ type: 'bundle', main: true, data: { text: Deno.inspect(value) } });
  else console.log(Deno.inspect(value));
}

function reply(number, exitCode) {
  if (!number || number !== running) return;
  running = 0;
  restoreEnvironment();
  let rest = new TextEncoder().encode(`${JSON.stringify({ exitCode, items })}\n`);
  while (rest.length) rest = rest.subarray(output.writeSync(rest));
}

function fail(number, error) {
  tell(error, report(error));
  reply(number, 1);
}

async function run(request) {
  count += 1;
  const number = count;
  running = number;
  rich = request.rich === true;
  items = [];
  setEnvironment(request.environment);
  try {
    const { value, error, failed } = await evaluate(request);
    if (failed) return fail(number, error);
    if (value !== undefined) show(value);
    return reply(number, 0);
  } catch (error) {
    return fail(number, error);
  }
}

function unheard(event, error) {
  event.preventDefault();
  fail(running, error);
}

// Deno cannot take itself down in an orderly way from within what its inspector runs.
const libc = Deno.dlopen('libc.so.6', { _exit: { parameters: ['i32'], result: 'void' } });
Deno.exit = process.exit = (code) => libc.symbols._exit(code ?? Deno.exitCode);

addEventListener('error', (event) => unheard(event, event.error));
addEventListener('unhandledrejection', (event) => unheard(event, event.reason));
Deno.addSignalListener('SIGINT', () => running && fail(running, 'interrupted'));
globalThis.require = createRequire(`file://${Deno.cwd()}/`);
await findKeeper();
const input = await Deno.open(`/proc/self/fd/${requests}`);
let rest = '';
for await (const text of input.readable.pipeThrough(new TextDecoderStream())) {
  const lines = (rest + text).split('\n');
  rest = lines.pop();
  lines.forEach((line) => run(JSON.parse(line)));
}
Deno.exit(0);

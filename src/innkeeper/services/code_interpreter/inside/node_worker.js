// Runs JavaScript cells that share a context, as Node's own prompt does: node_worker.js REQUESTS REPLIES.
// Requests and replies are as in python_worker.py. TypeScript's types are stripped where Node can do that.
'use strict';

const fs = require('fs');
const { stripTypeScriptTypes } = require('module');
const readline = require('readline');
const repl = require('repl');
const { PassThrough } = require('stream');
const { inspect } = require('util');

const [requests, replies] = process.argv.slice(2, 4).map(Number);
process.argv.splice(1);

const prompt = repl.start({
  input: new PassThrough(),
  output: new PassThrough(),
  prompt: '',
  terminal: false,
  useGlobal: true,
  breakEvalOnSigint: true,
});

let finish = () => {};
let count = 0;
let rich = false;
let items = [];
let before = {};  // the variables that this cell alone has otherwise

function setEnvironment(variables = {}) {
  before = {};
  for (const [name, value] of Object.entries(variables)) {
    before[name] = process.env[name];
    process.env[name] = value;
  }
}

function restoreEnvironment() {
  for (const [name, value] of Object.entries(before)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
}

function send(text) {
  let rest = Buffer.from(text);
  while (rest.length) rest = rest.subarray(fs.writeSync(replies, rest));
}

function reply(exitCode) {
  finish = () => {};
  restoreEnvironment();
  send(JSON.stringify({ exitCode, items }) + '\n');
}

// Frames from the prompt's own machinery on say nothing to the cell's author.
function report(error) {
  if (!(error instanceof Error) || typeof error.stack !== 'string') return `Uncaught ${inspect(error)}`;
  const lines = error.stack.split('\n');
  const ours = lines.findIndex((line) => /^\s+at .*(node:internal\/vm|node:vm|node:repl|node_worker\.js)/.test(line));
  return (ours < 0 ? lines : lines.slice(0, ours)).join('\n');
}

function tell(error, text) {
  if (!rich) return process.stderr.write(text + '\n');
  const { name = 'Error', message = inspect(error) } = error instanceof Error ? error : {};
  return items.push({ type: 'error', name, value: message, traceback: text });
}

function fail(error) {
  tell(error, report(error));
  finish(1);
}

function show(value) {
  if (rich) items.push({ type: 'bundle', main: true, data: { text: inspect(value) } });
  else console.log(inspect(value));
}

function source(request) {
  if (!request.typescript) return request.code;
  if (stripTypeScriptTypes) return stripTypeScriptTypes(request.code, { mode: 'transform' });
  throw new Error(`TypeScript needs Node.js 22.13 or newer; this server has ${process.versions.node}`);
}

function run(request) {
  count += 1;
  finish = reply;
  rich = request.rich === true;
  items = [];
  setEnvironment(request.environment);
  let code;
  try {
    code = source(request);
  } catch (error) {
    tell(error, `${error.name}: ${error.message}`);
    return reply(1);
  }
  prompt.eval(`${code}\n`, prompt.context, `<cell ${count}>`, (error, value) => {
    if (error) return fail(error);
    if (value !== undefined) show(value);
    return finish(0);
  });
}

// The prompt would print errors of callbacks and promises into its own output.
prompt._domain.removeAllListeners('error');
prompt._domain.on('error', fail);
process.on('unhandledRejection', fail);
process.on('SIGINT', () => fail('interrupted'));
readline.createInterface({ input: fs.createReadStream(null, { fd: requests }) })
  .on('line', (line) => run(JSON.parse(line)))
  .on('close', () => process.exit(0));

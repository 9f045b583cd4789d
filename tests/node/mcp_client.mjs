// The official TypeScript clients, driven as a program on a person's machine would drive them.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { statSync, utimesSync } from 'node:fs';
import { createServer } from 'node:http';

const [, , url, era, name] = process.argv;
const HOUR = 3700; // longer than an access token lives

const old = name === '@modelcontextprotocol/sdk';
const parts = old ? ['index', 'streamableHttp', 'auth'].map((part) => `${name}/client/${part}.js`) : [name];
const { Client, StreamableHTTPClientTransport, UnauthorizedError } = Object.assign({}, ...(await Promise.all(parts.map((part) => import(part)))));

const answers = [];
const loopback = createServer((request, response) => {
  answers.push(new URL(request.url, 'http://127.0.0.1').searchParams);
  response.end();
  loopback.emit('answered');
}).listen(0, '127.0.0.1');
await once(loopback, 'listening');
const redirectUrl = `http://127.0.0.1:${loopback.address().port}/callback`;

const kept = { client: process.env.CLIENT_ID && { client_id: process.env.CLIENT_ID } };
const provider = {
  redirectUrl,
  clientMetadata: {
    client_name: 'a TypeScript program', redirect_uris: [redirectUrl], grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'], token_endpoint_auth_method: 'none',
  },
  state: () => (kept.state = crypto.randomUUID()),
  clientInformation: () => kept.client,
  saveClientInformation: (client) => (kept.client = client),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => (kept.tokens = tokens),
  codeVerifier: () => kept.verifier,
  saveCodeVerifier: (verifier) => (kept.verifier = verifier),
  redirectToAuthorization: (address) => execFile(process.env.BROWSER, [address.href]),
};

let client, transport;

/** A transport starts once, and so does a client. */
async function connect() {
  client = new Client({ name: 'driver', version: '1' }, old ? {} : { versionNegotiation: { mode: era } });
  transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: provider });
  await client.connect(transport);
}

/** Do it; when a person must approve first, wait until they did, and do it again. */
async function approved(act) {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    if (!answers.length) await once(loopback, 'answered');
    const answer = answers.shift();
    if (answer.get('state') !== kept.state) throw new Error('not the answer to our question');
    await transport.finishAuth(old ? answer.get('code') : answer);
    return await act();
  }
}

const echo = async (message) => (await client.callTool({ name: 'echo', arguments: { message } })).content[0].text;

await approved(connect);
const tools = (await client.listTools()).tools.map((tool) => tool.name);
let anew = false;
const said = [
  await approved(() => echo('at first')).catch(async (error) => {
    if (error.code !== 403) throw error;
    anew = true;
    kept.tokens = undefined;
    await approved(connect);
    return await echo('at first');
  }),
];
const later = statSync(process.env.AHEAD).mtimeMs / 1000 + HOUR;
utimesSync(process.env.AHEAD, later, later); // the server's clock
said.push(await echo('an hour later'));
const revision = old ? transport.protocolVersion : client.getNegotiatedProtocolVersion();
await client.close();
loopback.close();
console.log(JSON.stringify({ revision, tools, said, anew }));

// A real OpenID provider (node-oidc-provider, certified) on a loopback port of its own, for one client and the people it is told of.
// node oidc_provider.mjs '{"client": {…}, "accounts": {"ada": {"sub": "…", …claims}}}' prints its issuer once it listens.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const { client, accounts } = JSON.parse(process.argv[2]);
const server = createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://localhost:${server.address().port}`;

const keyPair = (type, options, jwk) => ({ ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), use: 'sig', ...jwk });
const provider = new Provider(issuer, {
  clients: [client],
  jwks: { keys: [keyPair('rsa', { modulusLength: 2048 }, { kid: 'r1', alg: 'RS256' }), keyPair('ec', { namedCurve: 'P-256' }, { kid: 'e1', alg: 'ES256' })] },
  cookies: { keys: ['of-this-test-only'] },
  claims: { openid: ['sub'], profile: ['preferred_username', 'groups'], email: ['email', 'email_verified'] },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, { uid }) => `/interaction/${uid}` },
  ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 },
  findAccount: (_, sub) => {
    const claims = Object.values(accounts).find((account) => account.sub === sub);
    return claims && { accountId: sub, claims: () => claims };
  },
  // Whoever signs in has agreed: the client is the company's own.
  async loadExistingGrant({ oidc }) {
    const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
    grant.addOIDCScope('openid profile email');
    await grant.save();
    return grant;
  },
});

const page = (heading, body) => `<!doctype html><html lang=en><meta charset=utf-8><link rel=icon href='data:,'><title>${heading}</title><h1>${heading}</h1>${body}</html>`;

async function interact(request, response) {
  if (request.method === 'GET') {
    response.setHeader('Content-Type', 'text/html');
    response.end(page('The company&#39;s sign-in', '<form method="post"><label>Name <input name="login"></label><button>Go on</button></form>'));
    return;
  }
  let body = '';
  for await (const part of request) body += part;
  const account = accounts[new URLSearchParams(body).get('login')];
  const result = account ? { login: { accountId: account.sub } } : { error: 'access_denied', error_description: 'Nobody of that name – sorry.' };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

const answer = provider.callback();
server.on('request', (request, response) => {
  if (!request.url.startsWith('/interaction/')) return answer(request, response);
  return interact(request, response).catch((error) => { response.statusCode = 500; response.end(String(error)); });
});
console.log(issuer);

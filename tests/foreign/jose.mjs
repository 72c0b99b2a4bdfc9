// Reads {verify, refuse, sign} from standard input and answers {claims, tokens}; ends with an error
// where a verdict of `jose` is another one than expected.
import { readFileSync } from 'node:fs'
import { webcrypto } from 'node:crypto'

// Node 18 has it, but not as a global.
globalThis.crypto ??= webcrypto
const { CompactSign, createRemoteJWKSet, importPKCS8, jwtVerify } = await import('jose')

const { verify, refuse, sign } = JSON.parse(readFileSync(0, 'utf8'))

const checked = async ({ token, alg, secret, jwks, issuer, audience }) => {
  const key = secret === null ? createRemoteJWKSet(new URL(jwks)) : new TextEncoder().encode(secret)
  const { payload } = await jwtVerify(token, key, { algorithms: [alg], issuer, audience, typ: 'at+jwt' })
  return payload
}

const claims = []
for (const one of verify) claims.push(await checked(one))

for (const one of refuse) {
  const payload = await checked(one).catch((error) => {
    if (error.code?.startsWith('ERR_JW')) return null
    throw error
  })
  if (payload !== null) throw new Error(`jose accepted ${one.token}`)
}

const tokens = []
for (const { header, payload, secret, pem } of sign) {
  const key = secret === null ? await importPKCS8(pem, header.alg) : new TextEncoder().encode(secret)
  tokens.push(await new CompactSign(new TextEncoder().encode(payload)).setProtectedHeader(header).sign(key))
}

console.log(JSON.stringify({ claims, tokens }))

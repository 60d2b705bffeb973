// Who may do what: the server's own table (`edge/sign/src/manage/permission.rs`), so that nobody is shown what is refused
// to them. A test holds the two against each other.
import type { Role } from './api/types'
import { session } from './session'

const A: Role[] = ['administrator']
const O: Role[] = ['operator']
const U: Role[] = ['auditor']
const OVERSIGHT: Role[] = ['administrator', 'auditor']

/** Routes that not everybody may ask for. */
export const RESTRICTED = {
  'GET /manage/v1/accounts': OVERSIGHT, 'POST /manage/v1/accounts': A, 'PUT /manage/v1/accounts/{id}': A, 'DELETE /manage/v1/accounts/{id}': A,
  'POST /manage/v1/accounts/{id}/recover': A, 'POST /manage/v1/accounts/{id}/certificates': A, 'DELETE /manage/v1/accounts/{id}/certificates/{fingerprint}': A,
  'POST /manage/v1/keys': A, 'POST /manage/v1/keys/{index}/request': A, 'POST /manage/v1/keys/{index}/certificate': A, 'POST /manage/v1/keys/{index}/certify': A,
  'POST /manage/v1/keys/adopt': A, 'POST /manage/v1/keys/import': A, 'GET /manage/v1/devices/{name}/keys': A, 'POST /manage/v1/devices/{name}/retry': A, 'POST /manage/v1/devices/{name}/pin': A,
  'POST /manage/v1/keys/{index}/activate': A, 'POST /manage/v1/keys/{index}/retire': A, 'POST /manage/v1/keys/{index}/destroy': A,
  'GET /manage/v1/outside/{name}/signers': OVERSIGHT, 'POST /manage/v1/outside/{name}/signers': A, 'POST /manage/v1/outside/{name}/certificate': A, 'POST /manage/v1/outside/{name}/retry': A,
  'POST /manage/v1/outside/{name}/signers/{signer}/accept': A, 'DELETE /manage/v1/outside/{name}/signers/{signer}': A,
  'GET /manage/v1/tls': OVERSIGHT, 'POST /manage/v1/tls/{interface}/import': A, 'POST /manage/v1/tls/{interface}/renew': A,
  'GET /manage/v1/custodians': OVERSIGHT, 'POST /manage/v1/custodians': A, 'POST /manage/v1/custodians/{number}/share': A, 'POST /manage/v1/backup': A,
  'POST /manage/v1/restore': A, 'POST /manage/v1/restore/{token}': A,
  'GET /manage/v1/replica': OVERSIGHT, 'POST /manage/v1/replica/peers': A, 'POST /manage/v1/replica/peers/{id}/approve': A, 'DELETE /manage/v1/replica/peers/{id}': A,
  'POST /manage/v1/replica/peers/{id}/package': A, 'POST /manage/v1/replica/import': A,
  'POST /manage/v1/applications': O, 'PUT /manage/v1/applications/{id}': O, 'POST /manage/v1/applications/{id}/certificates': O,
  'DELETE /manage/v1/applications/{id}/certificates/{fingerprint}': O, 'POST /manage/v1/applications/{id}/secret': O,
  'POST /manage/v1/chains': O, 'POST /manage/v1/chains/own': O, 'DELETE /manage/v1/chains/{id}': O, 'DELETE /manage/v1/chains/{id}/certificates/{fingerprint}': O,
  'POST /manage/v1/certificates': O, 'POST /manage/v1/certificates/{fingerprint}/remove': O,
  'PUT /manage/v1/chains/{id}/revocation': O, 'POST /manage/v1/revocation/fetch': O, 'POST /manage/v1/revocation/import': O, 'POST /manage/v1/revocation/own': A,
  'PUT /manage/v1/stamping': A, 'POST /manage/v1/stamping/keys/{index}/certify': A,
  'PUT /manage/v1/settings/web-service': O, 'PUT /manage/v1/settings/syslog': O, 'PUT /manage/v1/settings/time': O, 'PUT /manage/v1/settings/log': U, 'PUT /manage/v1/settings/own-lists': A, 'POST /manage/v1/time/poll': O,
  'GET /manage/v1/log': U, 'POST /manage/v1/log/check': U, 'GET /manage/v1/log/check': U, 'GET /manage/v1/log.csv': U, 'GET /manage/v1/log/checkpoints': U,
} satisfies Record<string, Role[]>

/** Whether who is signed in may ask for a route. */
export function may(route: keyof typeof RESTRICTED): boolean {
  return session.who !== undefined && RESTRICTED[route].includes(session.who.role)
}

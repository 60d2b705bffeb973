import { api, body, search, slow } from './call'
import type { AdoptKey, ChainSettings, Interface, KeyFile, NewKey, OutsideBind, Policy, Proposal, Revoking, Role, StampSettings, Syslog, TimePolicy } from './types'

const id = (id: string) => ({ params: { path: { id } } })
const key = (index: number) => ({ params: { path: { index } } })

/** A file that the server answers with, and the name it gives it. */
export interface Download { name: string; blob: Blob }
async function download(answer: Promise<{ response: Response; data?: unknown }>): Promise<Download> {
  const { response, data } = await answer
  const name = /filename="([^"]+)"/.exec(response.headers.get('content-disposition') ?? '')?.[1]
  return { name: name ?? 'signd', blob: data as Blob }
}

/** What one searches the log for; empty values match everything. */
export interface LogSearch { from: string; until: string; act: string; subject: string; text: string }

/** Everything that the page asks of the server. */
export const signd = {
  session: () => body(api.GET('/manage/v1/session')),
  signIn: (name: string, password: string, code: string) => body(api.POST('/manage/v1/session', { body: { name, password, code } })),
  signInByCertificate: () => body(api.POST('/manage/v1/session/certificate')),
  finishFirst: (token: string, code: string, new_password?: string) => body(api.POST('/manage/v1/session/first', { body: { token, code, new_password } })),
  signOut: () => body(api.DELETE('/manage/v1/session')),
  changePassword: (old: string, fresh: string) => body(api.POST('/manage/v1/session/password', { body: { old, new: fresh } })),
  setUp: (form: { code: string; name: string; person: string; password: string }) => body(api.POST('/manage/v1/setup', { body: form })),

  overview: () => body(api.GET('/manage/v1/overview')),
  meter: (after: number) => body(api.GET('/manage/v1/meter', { params: { query: { after } } })),
  selfTest: () => body(api.POST('/manage/v1/self-test', { ...slow })),

  accounts: () => body(api.GET('/manage/v1/accounts')),
  addAccount: (form: { name: string; person: string; role: Role }) => body(api.POST('/manage/v1/accounts', { body: form })),
  changeAccount: (account: string, form: { person: string; role: Role; enabled: boolean }) => body(api.PUT('/manage/v1/accounts/{id}', { ...id(account), body: form })),
  removeAccount: (account: string) => body(api.DELETE('/manage/v1/accounts/{id}', id(account))),
  recoverAccount: (account: string) => body(api.POST('/manage/v1/accounts/{id}/recover', id(account))),
  addAccountCertificate: (account: string, file: string) => body(api.POST('/manage/v1/accounts/{id}/certificates', { ...id(account), body: { file } })),
  removeAccountCertificate: (account: string, fingerprint: string) => body(api.DELETE('/manage/v1/accounts/{id}/certificates/{fingerprint}', { params: { path: { id: account, fingerprint } } })),

  keys: () => body(api.GET('/manage/v1/keys')),
  makeKey: (form: NewKey) => body(api.POST('/manage/v1/keys', { body: form, ...slow })),
  keyRequest: (index: number, form: { organization: string; unit: string; common_name: string }) => body(api.POST('/manage/v1/keys/{index}/request', { ...key(index), body: form })),
  keyCertificate: (index: number, files: string[]) => body(api.POST('/manage/v1/keys/{index}/certificate', { ...key(index), body: { files }, ...slow })),
  certifyKey: (index: number, form: { organization: string; name: string }) => body(api.POST('/manage/v1/keys/{index}/certify', { ...key(index), body: form, ...slow })),
  importKey: (form: KeyFile) => body(api.POST('/manage/v1/keys/import', { body: form, ...slow })),
  adoptKey: (form: AdoptKey) => body(api.POST('/manage/v1/keys/adopt', { body: form, ...slow })),
  devices: () => body(api.GET('/manage/v1/devices')),
  deviceKeys: (name: string) => body(api.GET('/manage/v1/devices/{name}/keys', { params: { path: { name } } })),
  retryDevice: (name: string) => body(api.POST('/manage/v1/devices/{name}/retry', { params: { path: { name } }, ...slow })),
  giveDevicePin: (name: string, pin: string) => body(api.POST('/manage/v1/devices/{name}/pin', { params: { path: { name } }, body: { pin }, ...slow })),
  outside: () => body(api.GET('/manage/v1/outside')),
  outsideSigners: (name: string) => body(api.GET('/manage/v1/outside/{name}/signers', { params: { path: { name } } })),
  outsideCertificate: (name: string, identification: string) => body(api.POST('/manage/v1/outside/{name}/certificate', { params: { path: { name } }, body: { identification }, ...slow })),
  bindOutside: (name: string, form: OutsideBind) => body(api.POST('/manage/v1/outside/{name}/signers', { params: { path: { name } }, body: form, ...slow })),
  acceptOutside: (name: string, signer: string, fingerprint: string) => body(api.POST('/manage/v1/outside/{name}/signers/{signer}/accept', { params: { path: { name, signer } }, body: { fingerprint } })),
  unbindOutside: (name: string, signer: string) => body(api.DELETE('/manage/v1/outside/{name}/signers/{signer}', { params: { path: { name, signer } } })),
  retryOutside: (name: string) => body(api.POST('/manage/v1/outside/{name}/retry', { params: { path: { name } } })),
  activateKey: (index: number) => body(api.POST('/manage/v1/keys/{index}/activate', { ...key(index), ...slow })),
  retireKey: (index: number) => body(api.POST('/manage/v1/keys/{index}/retire', { ...key(index), ...slow })),
  destroyKey: (index: number, confirm: string) => body(api.POST('/manage/v1/keys/{index}/destroy', { ...key(index), body: { confirm } })),

  tls: () => body(api.GET('/manage/v1/tls')),
  importTls: (name: Interface, files: string[], secret: string, password: string) => body(api.POST('/manage/v1/tls/{interface}/import', { params: { path: { interface: name } }, body: { files, key: secret, password } })),
  renewTls: (name: Interface) => body(api.POST('/manage/v1/tls/{interface}/renew', { params: { path: { interface: name } } })),

  custodians: () => body(api.GET('/manage/v1/custodians')),
  appoint: (names: string[], needed: number) => body(api.POST('/manage/v1/custodians', { body: { names, needed } })),
  takeShare: (number: number) => body(api.POST('/manage/v1/custodians/{number}/share', { params: { path: { number } } })),
  backup: () => download(api.POST('/manage/v1/backup', { parseAs: 'blob', ...slow })),
  previewRestore: (file: string, shares: string[]) => body(api.POST('/manage/v1/restore', { body: { file, shares }, ...slow })),
  restore: (token: string) => body(api.POST('/manage/v1/restore/{token}', { params: { path: { token } }, ...slow })),

  replica: () => body(api.GET('/manage/v1/replica', { ...slow })),
  proposePeer: (form: Proposal) => body(api.POST('/manage/v1/replica/peers', { body: form, ...slow })),
  approvePeer: (peer: string, fingerprint: string) => body(api.POST('/manage/v1/replica/peers/{id}/approve', { ...id(peer), body: { fingerprint } })),
  endPeer: (peer: string) => body(api.DELETE('/manage/v1/replica/peers/{id}', id(peer))),
  replicaPackage: (peer: string) => download(api.POST('/manage/v1/replica/peers/{id}/package', { ...id(peer), parseAs: 'blob', ...slow })),
  importReplica: (file: string) => body(api.POST('/manage/v1/replica/import', { body: { file }, ...slow })),

  applications: () => body(api.GET('/manage/v1/applications')),
  addApplication: (form: { id: string; name: string; policy: Policy }) => body(api.POST('/manage/v1/applications', { body: form })),
  changeApplication: (application: string, form: { name: string; enabled: boolean; policy: Policy }) => body(api.PUT('/manage/v1/applications/{id}', { ...id(application), body: form })),
  addApplicationCertificate: (application: string, file: string) => body(api.POST('/manage/v1/applications/{id}/certificates', { ...id(application), body: { file } })),
  removeApplicationCertificate: (application: string, fingerprint: string) => body(api.DELETE('/manage/v1/applications/{id}/certificates/{fingerprint}', { params: { path: { id: application, fingerprint } } })),
  renewSecret: (application: string) => body(api.POST('/manage/v1/applications/{id}/secret', id(application))),

  chains: () => body(api.GET('/manage/v1/chains')),
  importChain: (form: { id?: string; name: string; files: string[] }) => body(api.POST('/manage/v1/chains', { body: form, ...slow })),
  ownChain: (organization: string) => body(api.POST('/manage/v1/chains/own', { body: { organization } })),
  removeChain: (chain: string) => body(api.DELETE('/manage/v1/chains/{id}', id(chain))),
  removeChainCertificate: (chain: string, fingerprint: string) => body(api.DELETE('/manage/v1/chains/{id}/certificates/{fingerprint}', { params: { path: { id: chain, fingerprint } } })),

  revocation: () => body(api.GET('/manage/v1/revocation')),
  setChainSources: (chain: string, form: ChainSettings) => body(api.PUT('/manage/v1/chains/{id}/revocation', { ...id(chain), body: form })),
  fetchLists: (address?: string) => body(api.POST('/manage/v1/revocation/fetch', { body: { address: address ?? null }, ...slow })),
  importList: (file: string) => body(api.POST('/manage/v1/revocation/import', { body: { file }, ...slow })),
  ownCertificates: () => body(api.GET('/manage/v1/revocation/own')),
  revokeOwn: (form: { serial: string; reason: Revoking; confirm: string }) => body(api.POST('/manage/v1/revocation/own', { body: form, ...slow })),

  stamping: () => body(api.GET('/manage/v1/stamping')),
  setStamping: (form: StampSettings) => body(api.PUT('/manage/v1/stamping', { body: form })),
  certifyStampKey: (index: number, form: { organization: string; name: string }) => body(api.POST('/manage/v1/stamping/keys/{index}/certify', { ...key(index), body: form, ...slow })),

  certificates: (text: string, skip: number, most: number) => body(api.GET('/manage/v1/certificates', { params: { query: { text, skip, most } } })),
  importCertificates: (files: { name: string; content: string }[], note: string) => body(api.POST('/manage/v1/certificates', { body: { files, note }, ...slow })),
  certificate: (fingerprint: string) => body(api.GET('/manage/v1/certificates/{fingerprint}', { params: { path: { fingerprint } } })),
  certificateFile: (fingerprint: string, encoding: 'pem' | 'der') => `/manage/v1/certificates/${fingerprint}/file?${search({ encoding })}`,
  removeCertificate: (fingerprint: string, confirm: string) => body(api.POST('/manage/v1/certificates/{fingerprint}/remove', { params: { path: { fingerprint } }, body: { confirm } })),

  settings: () => body(api.GET('/manage/v1/settings')),
  setWebService: (enabled: boolean) => body(api.PUT('/manage/v1/settings/web-service', { body: { enabled } })),
  setLogKeeping: (keep_days: number) => body(api.PUT('/manage/v1/settings/log', { body: { keep_days } })),
  publishLists: (address: string) => body(api.PUT('/manage/v1/settings/own-lists', { body: { address: address || null } })),
  logCheckpoints: () => body(api.GET('/manage/v1/log/checkpoints')),
  setSyslog: (form: Syslog) => body(api.PUT('/manage/v1/settings/syslog', { body: form })),
  setTime: (form: TimePolicy) => body(api.PUT('/manage/v1/settings/time', { body: form })),

  time: () => body(api.GET('/manage/v1/time')),
  timeHistory: () => body(api.GET('/manage/v1/time/history')),
  pollTime: () => body(api.POST('/manage/v1/time/poll', { ...slow })),
  syslog: () => body(api.GET('/manage/v1/syslog')),

  log: (asked: LogSearch, before: number | undefined, most: number) => body(api.GET('/manage/v1/log', { params: { query: { ...asked, before, most } } })),
  logCsv: (asked: LogSearch) => `/manage/v1/log.csv?${search({ ...asked })}`,
  checkLog: () => body(api.POST('/manage/v1/log/check')),
  logCheck: () => body(api.GET('/manage/v1/log/check')),
}

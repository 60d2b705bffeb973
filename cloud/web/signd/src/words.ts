// The server's stable names in words.
import type { Change, Device, Format, Interface, KeyAlgorithm, KeyPurpose, KeyState, Outside, OutsideSigner, Revocation, Revoking, Role } from './api/types'

export type Tone = 'good' | 'warn' | 'bad' | 'live' | 'quiet'

export const ROLES: Record<Role, string> = { administrator: '管理员', operator: '操作员', auditor: '审计员' }
export const DUTIES: Record<Role, string> = {
  administrator: '管理账户、服务器密钥、备份恢复和 HTTPS 证书',
  operator: '管理应用系统、证书链、客户端证书、时间和日志外发',
  auditor: '查询、导出和校验签名日志，查看账户与托管人',
}
export const KEY_STATES: Record<KeyState, readonly [Tone, string, string]> = {
  generated: ['warn', '待发证', '还没有证书：导出证书请求交给 CA，拿到证书后导入；或由本机的医院自有 CA 签发。'],
  certified: ['live', '待启用', '已有证书，启用后应用系统才能用它签名。'],
  active: ['good', '使用中', '应用系统可以用它签名。'],
  retired: ['quiet', '已停用', '不再签名，仍可解密以前的数据，可重新启用。'],
  destroyed: ['bad', '已销毁', '私钥已清除，证书和记录保留，以前的签名仍可验证。'],
}
export const ALGORITHMS: Record<KeyAlgorithm, readonly [string, string]> = {
  sm2: ['SM2', '国密，256 位'], p256: ['ECDSA P-256', '国际通用，256 位'], rsa2048: ['RSA 2048', '兼容旧系统'], rsa3072: ['RSA 3072', ''], rsa4096: ['RSA 4096', '生成和签名较慢'],
}
export const PURPOSES: Record<KeyPurpose, readonly [string, string]> = { sign: ['签名', '应用系统用它签名'], encrypt: ['加密', '解开加密给它的数据'] }
export const DEVICE_STATES: Record<Device['state'], readonly [Tone, string]> = { opening: ['live', '正在连接'], ready: ['good', '正常'], down: ['bad', '不可用'] }
export const DEVICE_KINDS: Record<Device['kind'], string> = { pkcs11: 'PKCS#11', sdf: 'GM/T 0018 密码设备' }
export const OUTSIDE_STATES: Record<OutsideSigner['state'], readonly [Tone, string, string]> = {
  waiting: ['live', '等待本人设置', '本人在医生端重新设置电子签名（输入签名密码）后开始使用。'],
  used: ['good', '使用中', ''],
  changed: ['bad', '证书有变化', '对方的证书与登记的不同，已暂停签名，请核对新证书。'],
  locked: ['bad', '口令被拒', '对方拒绝了密钥口令，已暂停签名，请用正确的口令重新登记。'],
  ended: ['quiet', '已解除', ''],
}
/** How near something is to what was agreed; what is far from it says nothing. */
export const LEVELS: Record<Outside['use']['signers_level'], readonly [Tone, string] | undefined> = { calm: undefined, near: ['warn', '已用 80% 以上'], close: ['warn', '已用 95% 以上'], full: ['bad', '已用完'] }
export const FORMATS: Record<Format, readonly [string, string]> = {
  pkcs1: ['PKCS#1 裸签名', '签名值，同时记入签名日志'], 'pkcs7-attached': ['PKCS#7 带原文', 'attach'], 'pkcs7-detached': ['PKCS#7 不带原文', 'detach'],
  xml: ['XML 签名', 'XML-DSig'], pdf: ['PDF 签名', '处方、病历等文档'], stamp: ['时间戳', 'RFC 3161'], cipher: ['加密解密与摘要', '含随机数'],
}
export const REVOCATIONS: Record<Revocation, readonly [string, string]> = {
  'crl-or-ocsp': ['CRL 优先，没有时用 OCSP', '先查吊销列表；证书没有列表地址时在线询问 CA'],
  crl: ['只用 CRL', '按定期更新的吊销列表判断'], ocsp: ['只用 OCSP', '每次在线询问 CA'], none: ['不检查吊销', '已吊销的证书也会通过，请谨慎'],
}
export const REASONS: Record<Revoking, string> = { superseded: '已更换证书', 'cessation-of-operation': '人员离职或停用', 'affiliation-changed': '姓名或科室变更', 'privilege-withdrawn': '取消签名资格', 'key-compromise': '私钥可能泄露', unspecified: '其他' }
export const INTERFACES: Record<Interface, readonly [string, string]> = { manage: ['管理页面', '管理员用浏览器访问的 HTTPS 接口'], service: ['应用接口', '应用系统调用签名、验签的 HTTPS 接口'], 'service-sm': ['应用接口（国密）', '同一接口的国密 TLS 证书'] }
export const TLS_SOURCES = { own: '本机自动生成', imported: '管理员导入', file: '配置文件指定' } as const
export const KINDS: Record<Change['kind'], string> = { account: '账户', key: '服务器密钥', authority: '医院自有 CA', application: '应用系统', chain: '证书链', certificate: '客户端证书', setting: '设置' }
export const WHATS: Record<Change['what'], readonly [Tone, string]> = { added: ['good', '新增'], changed: ['warn', '改为备份中的内容'], removed: ['bad', '删除'], kept: ['quiet', '保留本机的'] }
const SETTINGS: Record<string, string> = { web_service: 'Web Service 接口', syslog: '日志外发', time: '校时策略' }
/** A thing of a backup by the name that people know. */
export const changeName = (change: Change): string => (change.kind === 'setting' ? (SETTINGS[change.name] ?? change.name) : change.name)

const TESTS: Record<string, string> = {
  sm3: 'SM3 摘要', sha256: 'SHA-256 摘要', sm4: 'SM4 加密', 'sm4-gcm': 'SM4-GCM', 'aes-gcm': 'AES-GCM', 'sm2-verify': 'SM2 验签', 'sm2-sign': 'SM2 签名',
  'p256-verify': 'P-256 验签', 'p256-sign': 'P-256 签名', 'rsa-verify': 'RSA 验签', 'rsa-sign': 'RSA 签名', random: '随机数发生器', 'memory-lock': '内存锁定', 'server-keys': '服务器密钥完整性', log: '签名日志完整性',
}
export const testName = (name: string): string => TESTS[name] ?? name
const TPM: Record<string, readonly [Tone, string]> = { ok: ['good', '正常'], new: ['good', '正常（新启用）'], absent: ['bad', '未找到'], replaced: ['bad', '已被更换'] }
export const tpmState = (state: string): readonly [Tone, string] => TPM[state] ?? ['bad', state]
export const custodyName = (custody: string): string => (custody === 'tpm' ? '本机可信芯片（TPM）' : `密码设备 ${custody}`)

/** Where a notice is looked after. */
const PLACES: Record<string, string> = { device_down: 'keys', outside_down: 'keys', outside_stopped: 'keys', outside_quota: 'keys', outside_revoked: 'keys', outside_expires: 'keys', outside_wrong_signature: 'keys', key_shut: 'keys', key_revoked: 'keys', key_expires: 'keys', chain_expires: 'chains', tls_expires: 'tls', clock_untrusted: 'time', log_broken: 'log', revocation: 'revocation' }
export const placeOf = (code: string): string | undefined => PLACES[code]

const DAY = 24 * 3600 * 1000
/** How long a certificate still is good, with how that feels: 30 days before its end it warns, as the server does. */
export function validity(from: string, until: string, now: number): readonly [Tone, string] {
  const [begin, end] = [Date.parse(from), Date.parse(until)]
  if (now < begin) return ['warn', '尚未生效']
  const days = Math.floor((end - now) / DAY)
  if (days < 0) return ['bad', '已过期']
  return [days <= 30 ? 'warn' : 'good', days === 0 ? '今天到期' : days <= 30 ? `剩 ${days} 天` : '有效']
}

/** `3 天 4 小时`. */
export function lasted(seconds: number): string {
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60]
  if (days) return `${days} 天 ${hours} 小时`
  return hours ? `${hours} 小时 ${minutes} 分` : minutes ? `${minutes} 分钟` : `${Math.floor(seconds)} 秒`
}

const KINDS_OF_CHARACTERS = [/[a-z]/, /[A-Z]/, /\d/, /[^a-zA-Z0-9]/]
/** What is wrong with a password, by the server's rule; undefined when nothing is. */
export function passwordFault(password: string, name: string): string | undefined {
  const length = [...password].length
  if (length < 10) return '至少 10 个字符'
  if (length > 128) return '最多 128 个字符'
  if (KINDS_OF_CHARACTERS.filter((kind) => kind.test(password)).length < 3) return '须包含大写字母、小写字母、数字、符号中的至少三种'
  if (name && password.toLowerCase().includes(name.toLowerCase())) return '不能包含用户名'
  return undefined
}
/** What is wrong with an account's name. */
export const nameFault = (name: string): string | undefined => (/^[a-z0-9._-]{2,32}$/.test(name) ? undefined : '2 至 32 位小写字母、数字、“.”、“_”或“-”')
/** What is wrong with an application's id. */
export const applicationIdFault = (id: string): string | undefined => (/^app_[A-Za-z0-9_-]{1,40}$/.test(id) ? undefined : '以 app_ 开头，后接 1 至 40 位字母、数字、“_”或“-”')

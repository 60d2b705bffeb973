// The log's words as an auditor reads them. The exact word stands beside; unknown ones show themselves.
const ACTS: Record<string, string> = {
  'account.created': '新建账户', 'account.changed': '修改账户', 'account.removed': '删除账户', 'account.recovered': '重置密码与动态口令', 'account.enrolled': '绑定动态口令', 'account.password_changed': '修改密码',
  'account.certificate_added': '账户登记证书', 'account.certificate_removed': '账户移除证书', 'session.opened': '登录', 'session.closed': '退出登录', 'session.refused': '登录被拒', 'manage.refused': '越权操作被拒',
  'application.registered': '新建应用系统', 'application.changed': '修改应用系统', 'application.certificate_added': '应用登记证书', 'application.certificate_removed': '应用移除证书', 'application.key_renewed': '更换应用请求密钥',
  'chain.imported': '导入证书链', 'chain.removed': '删除证书链', 'chain.certificate_removed': '从证书链移除证书', 'certificate.kept': '导入客户端证书', 'certificate.removed': '删除客户端证书',
  'key.generated': '生成密钥', 'key.requested': '导出证书请求', 'key.certified': '密钥获得证书', 'key.activated': '启用密钥', 'key.retired': '停用密钥', 'key.destroyed': '销毁密钥', 'key.imported': '导入密钥', 'key.adopted': '登记设备中的密钥', 'device.retried': '重试密码设备', 'device.pin_given': '提供设备口令',
  'backup.made': '备份', 'backup.restored': '恢复备份', 'backup.refused': '恢复被拒', 'custodians.appointed': '指定托管人', 'custodians.share_taken': '领取分量',
  'replica.proposed': '提出配对', 'replica.paired': '批准配对', 'replica.ended': '解除配对', 'replica.made': '制作复制包', 'replica.settled': '跟随设备已同步', 'replica.waits': '跟随设备未同步', 'replica.taken': '导入复制包', 'replica.refused': '复制被拒',
  'setting.web_service': '设置 Web Service', 'setting.syslog': '设置日志外发', 'setting.time': '设置校时策略', 'tls.made': '生成 HTTPS 证书', 'tls.imported': '导入 HTTPS 证书',
  'crl.fetched': '更新吊销列表', 'crl.imported': '导入吊销列表', 'crl.issued': '签发吊销列表', 'chain.changed': '修改证书链设置', 'setting.stamping': '设置时间戳', 'log.checked': '校验日志', 'log.exported': '导出日志', 'log.accepted': '确认日志断点', 'log.pruned': '清理到期日志', 'setting.log': '设置日志保存期', 'setting.own_lists': '设置吊销列表发布地址', 'clock.accepted': '确认时钟', 'selftest.passed': '自检通过', 'selftest.failed': '自检未通过', 'kek.sealed': '封装主密钥', 'kek.resealed': '重新封装主密钥', 'authority.made': '建立医院自有 CA',
  'outside.bound': '登记到外部签名服务器', 'outside.unbound': '解除外部签名登记', 'outside.accepted': '确认外部新证书', 'outside.retried': '核对外部签名服务器', 'outside.changed': '外部证书变化，暂停签名', 'outside.asked': '请求外部签名', 'outside.refused': '外部签名被拒', 'outside.unknown': '外部签名结果未知', 'outside.unsent': '外部签名未送出', 'outside.wrong_signature': '外部签名未通过验证', 'outside.quota': '外部签名用量提醒', 'outside.used_up': '外部签名用量已用完',
  'pin.changed': '修改签名密码', 'pin.wrong': '签名密码错误', 'signer.enrolled': '登记签名人', 'signer.renewed': '更换签名人证书', 'signer.unlocked': '解锁签名人',
  'time.stamped': '签发时间戳', 'stamp.asked': '生成时间戳请求', 'stamp.verified': '验证时间戳', 'sign.data': '数据签名', 'verify.data': '验证数据签名', 'sign.message': '消息签名', 'verify.message': '验证消息签名',
}
/** An act in words. */
export const actName = (act: string): string => ACTS[act] ?? act

/** Groups of acts for the filter: the beginning of the act, and its words. */
export const GROUPS: readonly (readonly [string, string])[] = [
  ['sign.', '签名'], ['verify.', '验签'], ['session.', '登录与退出'], ['account.', '账户'], ['application.', '应用系统'], ['key.', '服务器密钥'], ['outside.', '外部签名'], ['chain.', '证书链'], ['certificate.', '客户端证书'],
  ['setting.', '设置'], ['tls.', 'HTTPS 证书'], ['backup.', '备份与恢复'], ['custodians.', '托管人'], ['replica.', '多机互备'], ['log.', '日志'], ['selftest.', '自检'], ['manage.', '越权操作'],
]

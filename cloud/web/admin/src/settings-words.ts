/** Groups of settings, in words. */
export const GROUPS: Record<string, string> = { 'care.consultation': '线上复诊', 'treatment.prescribing': '处方', 'treatment.signing': '电子签名信任根', 'treatment.dispensing': '取药与配送', 'video.call': '视频通话', 'nursing.recorders': '工作记录仪', 'nursing.orders': '护理订单' }

/** Settings by key: name and what it does. */
export const SETTINGS: Record<string, [string, string?]> = {
  follow_up_days: ['复诊有效期（天）', '在该科室最近一次就诊距今不超过这么多天，才能线上复诊'],
  pay_minutes: ['支付时限（分钟）', '超过未支付自动释放号源；医院锁号时间更短时以医院为准'],
  early_check_in: ['允许提前报到', '付款后即可报到；关闭后按下一项的时间开放'],
  check_in_minutes: ['提前报到时间（分钟）', '就诊时段开始前这么多分钟起可以报到'],
  auto_cancel_hours: ['无人接诊自动退款（小时）', '就诊时段结束后这么久仍未接诊，自动取消并退款'],
  auto_finish_hours: ['自动结束（小时）', '接诊后这么久自动结束问诊'],
  patients_per_account: ['每账号就诊人上限'],
  guardian_below_years: ['需监护人的年龄（岁以下）'],
  slot_days: ['开放号源天数'],
  offers_decoction: ['提供代煎', '关闭后医生不能为中药处方选择医院代煎'],
  decoction_fee_fen: ['代煎费（每剂，分）', '与医院收费目录一致；按剂计入处方合计，医院账单不同时会提示核对'],
  overdue_hours: ['发放后应归还（小时）', '超过这么久未归还标为“超期未还”'],
  missing_hours: ['未入坞报警（小时）', '白名单内的记录仪这么久没有回到采集坞，标为“久未入坞”并在菜单上提醒'],
  services: ['护理项目', '每行一个；新建护理订单和评估量表时从中选择'],
  least_charge_percent: ['记录仪最低电量（%）', '护士取记录仪时，电量低于此值且未充满的不发放'],
  roots: ['签名信任根', '医生、药师签名证书的根证书（SM2），每行一张，DER 的 Base64，也可以粘贴 PEM。医生用省平台或其他机构的密钥签名时，把该机构的根证书加在最后一行；已有的不能删除或替换'],
  seals: ['签章信任根', '医院电子印章及其时间戳的根证书（P-256），每行一张，DER 的 Base64，也可以粘贴 PEM；已有的不能删除或替换'],
  departments: ['开放的科室', '科室代码，每行一个；空着表示全部开放'],
  hidden_doctors: ['不在线上显示的医生', '医生代码，每行一个'],
}

import type { Role } from '@yiqiao/kit/api/types'

/** Operations of the hospital system, in words. */
const OPS: Record<string, string> = {
  'slot.lock': '锁定号源', 'slot.unlock': '释放号源', 'registration.confirm_payment': '确认挂号支付', 'registration.refund': '挂号退费登记',
  'prescription.submit': '提交处方', 'prescription.review.push': '推送审方结果', 'prescription.revoke': '撤销处方', 'order.exam.submit': '提交检查单', 'order.exam.revoke': '撤回检查单', 'order.lab.submit': '提交检验单', 'order.lab.revoke': '撤回检验单', 'bill.confirm_payment': '确认药费支付',
  'bill.refund': '药费退费登记', 'delivery.push': '推送配送信息', 'patient.create': '患者建档',
}
export const opName = (op?: string) => (op ? (OPS[op] ?? op) : '—')

type Level = 'good' | 'warn' | 'bad' | 'quiet'
const LEVELS: Record<string, readonly [Level, string]> = {
  online: ['good', '在线'], offline: ['bad', '离线'], ok: ['good', '正常'], ready: ['good', '正常'], idle: ['good', '空闲'], printing: ['good', '打印中'], up: ['good', '正常'], closed: ['good', '正常'], healthy: ['good', '正常'],
  half_open: ['warn', '试探恢复中'], degraded: ['warn', '不稳定'], slow: ['warn', '响应慢'], paper_low: ['warn', '纸将用尽'], paper_near_end: ['warn', '纸将用尽'], near_end: ['warn', '纸将用尽'],
  open: ['bad', '已熔断'], down: ['bad', '不可用'], out_of_paper: ['bad', '缺纸'], paper_out: ['bad', '缺纸'], no_paper: ['bad', '缺纸'], cover_open: ['bad', '机盖打开'], head_hot: ['warn', '打印头过热'], cutter: ['bad', '切刀卡住'], error: ['bad', '故障'], failed: ['bad', '故障'], unavailable: ['bad', '不可用'], unreachable: ['bad', '连接不上'], locked: ['bad', '已锁定'], absent: ['bad', '未找到'], missing: ['bad', '未找到'],
  unknown: ['quiet', '未知'], disabled: ['quiet', '未启用'],
}
/** Colour and words of a health reading. */
export function level(state?: string | null): readonly [Level, string] {
  if (!state) return ['quiet', '未知']
  return LEVELS[state] ?? ['warn', state]
}

const OUTCOMES: Record<string, readonly [Level, string]> = { done: ['good', '已完成'], refused: ['bad', '医院拒绝'], unknown: ['warn', '结果未知'], later: ['warn', '稍后重试'] }
/** Outcome of an order to the hospital system; without one it is under way. */
export function commandState(order: { outcome?: string | null; settled_at?: string | null }): readonly [Level, string] {
  const word = order.outcome ?? ''
  const known = OUTCOMES[word] ?? Object.entries(OUTCOMES).find(([key]) => word.includes(key))?.[1]
  return known ?? (order.settled_at ? ['good', '已完成'] : ['quiet', '执行中'])
}
export const subjectName = (kind?: string) => (kind === 'visit' ? '挂号' : kind === 'prescription' ? '药费' : (kind ?? '—'))
export const sexName = (sex?: string) => (sex === 'M' ? '男' : sex === 'F' ? '女' : '')

/** Roles of staff, in words. */
export const ROLES: Record<Role, string> = { doctor: '医生', pharmacist: '药师', admin: '管理员', auditor: '审计员', medical_affairs: '医务科（病历审核）', nurse: '护士' }

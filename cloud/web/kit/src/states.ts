// The colour and the words of each state, once for all apps. The server's own `state_text` wins where it is given.

/** How a state feels: waiting for the person, running, done, ended without result, needs attention. */
export type Tone = 'todo' | 'live' | 'good' | 'quiet' | 'bad'
type Table = Record<string, readonly [Tone, string]>

const VISIT: Table = {
  locking: ['live', '正在锁定号源'], lock_unknown: ['live', '正在与医院确认号源'], awaiting_payment: ['todo', '待支付'], confirming: ['live', '已支付，医院确认中'],
  waiting: ['todo', '待报到'], checked_in: ['live', '待接诊'], in_progress: ['live', '问诊中'], finished: ['good', '已结束'],
  declined: ['bad', '未接诊'], withdrawn: ['bad', '已取消接诊'], cancelled: ['quiet', '已取消'], stopped: ['bad', '已停诊'],
  expired: ['quiet', '超时未支付'], refunding: ['live', '退款中'], refunded: ['quiet', '已退款'], manual: ['bad', '人工处理中'],
}
const PRESCRIPTION: Table = {
  draft: ['quiet', '草稿'], signed: ['live', '已签名'], in_review: ['live', '待审方'], approved: ['live', '审方通过'],
  sent_to_his: ['live', '已提交医院'], awaiting_payment: ['todo', '待缴费'], paid: ['live', '已缴费'], dispensing: ['live', '调配中'],
  ready: ['todo', '待取药'], shipped: ['live', '配送中'], collected: ['good', '已取药'], rejected: ['bad', '审方未通过'],
  revised: ['quiet', '已修改'], appealed: ['live', '申诉中'], revoked: ['quiet', '已撤销'], expired: ['quiet', '已过期'],
}
const ORDER: Table = {
  draft: ['quiet', '草稿'], signed: ['live', '提交中'], open: ['good', '已开立'], refused: ['bad', '医院未受理'], unknown: ['bad', '提交待核实'],
  revoking: ['live', '撤回中'], revoke_unknown: ['bad', '撤回待核实'], revoked: ['quiet', '已撤回'],
}
const PAYMENT: Table = {
  created: ['todo', '待支付'], pending: ['todo', '待支付'], closing: ['live', '正在关闭'], paid: ['live', '已支付'], paid_channel: ['live', '已支付'], his_confirming: ['live', '已支付，医院确认中'],
  done: ['good', '支付完成'], closed: ['quiet', '已关闭'], reversing: ['live', '退款中'], reversed: ['quiet', '已退款'], manual: ['bad', '人工处理中'],
  requested: ['live', '退款中'], processing: ['live', '退款中'], his_write_back: ['live', '已退回，医院登记中'], refunded: ['quiet', '已退款'],
}
const RECORD_REVIEW: Table = { in_review: ['live', '待审核'], approved: ['good', '审核通过'], returned: ['bad', '已退回'], superseded: ['quiet', '已被新版替代'] }
const CONSILIUM: Table = {
  invited: ['todo', '待接受'], open: ['live', '会诊中'], concluded: ['good', '已出具意见'], evaluated: ['good', '已评价'],
  declined: ['bad', '已谢绝'], withdrawn: ['quiet', '已撤回'], lapsed: ['quiet', '已超时'],
}
const NURSING: Table = {
  requested: ['todo', '待指派'], assigned: ['todo', '待接单'], accepted: ['live', '已接单'], taken: ['live', '已取记录仪'],
  started: ['live', '服务中'], finished: ['good', '已完成'], declined: ['bad', '护士谢绝'], cancelled: ['quiet', '已取消'],
}
const TABLES = { visit: VISIT, prescription: PRESCRIPTION, order: ORDER, payment: PAYMENT, record_review: RECORD_REVIEW, consilium: CONSILIUM, nursing: NURSING } as const

/** What the badge belongs to. */
export type StateOf = keyof typeof TABLES

/** Tone of a state; unknown ones are quiet. */
export function tone(of: StateOf, state: string): Tone {
  return TABLES[of][state]?.[0] ?? 'quiet'
}
/** Words of a state; unknown ones show themselves. */
export function stateName(of: StateOf, state: string): string {
  return TABLES[of][state]?.[1] ?? state
}
/** All states with their words, for filters. */
export function statesOf(of: StateOf): { value: string; label: string }[] {
  return Object.entries(TABLES[of]).map(([value, [, label]]) => ({ value, label }))
}

/** The doctor is calling and the patient has not answered. */
export const videoRinging = (state?: string | null): boolean => state === 'ringing'
/** The room is open and the patient has accepted. */
export const videoActive = (state?: string | null): boolean => state === 'connected'

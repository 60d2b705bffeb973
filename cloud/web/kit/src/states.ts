// The colour and the words of each state, once for all apps. The server's own `state_text` wins where it is given.

/** How a state feels: waiting for the person, running, done, ended without result, needs attention. */
export type Tone = 'todo' | 'live' | 'good' | 'quiet' | 'bad'
export type Table = Record<string, readonly [Tone, string]>

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
const PAYMENT: Table = {
  created: ['todo', '待支付'], pending: ['todo', '待支付'], closing: ['live', '正在关闭'], paid: ['live', '已支付'], paid_channel: ['live', '已支付'], his_confirming: ['live', '已支付，医院确认中'],
  done: ['good', '支付完成'], closed: ['quiet', '已关闭'], reversing: ['live', '退款中'], reversed: ['quiet', '已退款'], manual: ['bad', '人工处理中'],
  requested: ['live', '退款中'], processing: ['live', '退款中'], his_write_back: ['live', '已退回，医院登记中'], refunded: ['quiet', '已退款'],
}
/** By what they belong to. Areas whose pages come later bring theirs along (`*-states.ts`): the patient's first page stays small. */
export const TABLES: Record<string, Table> = { visit: VISIT, prescription: PRESCRIPTION, payment: PAYMENT }

/** What the badge belongs to. */
export type StateOf = 'visit' | 'prescription' | 'order' | 'payment' | 'record_review' | 'consilium' | 'nursing'

/** Tone of a state; unknown ones are quiet. */
export function tone(of: StateOf, state: string): Tone {
  return TABLES[of]?.[state]?.[0] ?? 'quiet'
}
/** Words of a state; unknown ones show themselves. */
export function stateName(of: StateOf, state: string): string {
  return TABLES[of]?.[state]?.[1] ?? state
}
/** All states with their words, for filters. */
export function statesOf(of: StateOf): { value: string; label: string }[] {
  return Object.entries(TABLES[of] ?? {}).map(([value, [, label]]) => ({ value, label }))
}

/** The doctor is calling and the patient has not answered. */
export const videoRinging = (state?: string | null): boolean => state === 'ringing'
/** The room is open and the patient has accepted. */
export const videoActive = (state?: string | null): boolean => state === 'connected'

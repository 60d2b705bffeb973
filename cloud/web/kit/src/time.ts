// Times travel as RFC 3339 in UTC and are shown in the hospital's time zone, whatever the device is set to.

const ZONE = 'Asia/Shanghai'
const parts = new Intl.DateTimeFormat('zh-CN', {
  timeZone: ZONE, hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit',
})

type Piece = 'year' | 'month' | 'day' | 'hour' | 'minute' | 'second'
function pieces(at: Date): Record<Piece, string> {
  const out = { year: '', month: '', day: '', hour: '', minute: '', second: '' }
  for (const { type, value } of parts.formatToParts(at)) if (type in out) out[type as Piece] = value
  return out
}

/** `2026-11-21` of the hospital's day. */
export function localDay(at: Date = new Date()): string {
  const p = pieces(at)
  return `${p.year}-${p.month}-${p.day}`
}

/** The day `count` days after `day`. */
export function plusDays(day: string, count: number): string {
  const at = new Date(`${day}T12:00:00+08:00`)
  at.setUTCDate(at.getUTCDate() + count)
  return localDay(at)
}

/** `2026-11-21 09:30`. */
export function dateTime(at: string | undefined | null): string {
  if (!at) return '—'
  const date = new Date(at)
  if (Number.isNaN(date.getTime())) return '—'
  const p = pieces(date)
  return `${p.year}-${p.month}-${p.day} ${p.hour}:${p.minute}`
}

/** The same with seconds. */
export function exactTime(at: string | undefined | null): string {
  if (!at) return '—'
  const date = new Date(at)
  return Number.isNaN(date.getTime()) ? '—' : `${dateTime(at)}:${pieces(date).second}`
}

/** `09:30` today, `昨天 09:30`, `11-19 09:30` else. */
export function chatTime(at: string, now: Date = new Date()): string {
  const full = dateTime(at)
  const today = localDay(now)
  if (full.startsWith(today)) return full.slice(11)
  if (full.startsWith(plusDays(today, -1))) return `昨天 ${full.slice(11)}`
  return full.slice(full.startsWith(today.slice(0, 4)) ? 5 : 0)
}

const WEEK = ['周日', '周一', '周二', '周三', '周四', '周五', '周六']
/** Day of the week of a plain date. */
export function weekday(day: string): string {
  return WEEK[new Date(`${day}T12:00:00+08:00`).getUTCDay()] ?? ''
}

/** `今天`, `明天` or the weekday. */
export function dayName(day: string, today: string = localDay()): string {
  if (day === today) return '今天'
  if (day === plusDays(today, 1)) return '明天'
  return weekday(day)
}

/** `11月23日 周一`. */
export function longDay(day: string): string {
  const [, month = '', date = ''] = day.split('-')
  return `${Number(month)}月${Number(date)}日 ${weekday(day)}`
}

const PERIODS: Record<string, string> = { am: '上午', pm: '下午', night: '夜间', day: '全天' }
/** Part of the day in words. */
export function periodName(period: string): string {
  return PERIODS[period] ?? ''
}

/** `14:59` left, or undefined when over. */
export function remaining(until: string | undefined | null, now: number = Date.now()): string | undefined {
  if (!until) return undefined
  const left = Math.ceil((new Date(until).getTime() - now) / 1000)
  if (!(left > 0)) return undefined
  const pad = (n: number) => n.toString().padStart(2, '0')
  const hours = Math.floor(left / 3600)
  return `${hours > 0 ? `${hours}:` : ''}${pad(Math.floor(left / 60) % 60)}:${pad(left % 60)}`
}

/** Age in the words a doctor uses: months below two years. */
export function age(birth: string, today: string = localDay()): string {
  const [by = 0, bm = 0, bd = 0] = birth.split('-').map(Number)
  const [ty = 0, tm = 0, td = 0] = today.split('-').map(Number)
  const months = (ty - by) * 12 + (tm - bm) - (td < bd ? 1 : 0)
  if (!(months >= 0)) return ''
  if (months < 1) return '未满月'
  return months < 24 ? `${months}个月` : `${Math.floor(months / 12)}岁`
}

/** `1:05` for 65 seconds. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  return `${Math.floor(whole / 60)}:${(whole % 60).toString().padStart(2, '0')}`
}

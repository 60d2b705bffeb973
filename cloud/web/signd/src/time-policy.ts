// The time policy as it is edited: units that people use, and what is wrong with it.
import type { TimePoint, TimePolicy, TimeStatus } from './api/types'
import type { Tone } from './words'

/** A source as it is typed. */
export interface SourceForm { host: string; port: string; nts: boolean }
/** The policy as it is typed: minutes, seconds and hours instead of the wire's units. */
export interface PolicyForm {
  enabled: boolean; sources: SourceForm[]; kind: 'every' | 'daily'; minutes: number; at: string
  samples: number; largestS: number; untrustedS: number; goodH: number; agreeing: number; pem: string
}

/** From the wire. */
export function edited(policy: TimePolicy): PolicyForm {
  const schedule = policy.schedule ?? { kind: 'every', seconds: 300 }
  return {
    enabled: policy.enabled ?? false,
    sources: (policy.sources ?? []).map((s) => ({ host: s.host, port: s.port ? String(s.port) : '', nts: s.nts ?? false })),
    kind: schedule.kind,
    minutes: schedule.kind === 'every' ? schedule.seconds / 60 : 5,
    at: schedule.kind === 'daily' ? schedule.at.join(' ') : '03:00',
    samples: policy.samples ?? 4,
    largestS: (policy.largest_offset_ms ?? 60_000) / 1000,
    untrustedS: (policy.untrusted_beyond_ms ?? 5_000) / 1000,
    goodH: (policy.good_for_s ?? 86_400) / 3600,
    agreeing: policy.fewest_agreeing ?? 1,
    pem: policy.nts_ca_pem ?? '',
  }
}

/** Times of the day out of what was typed, `HH:MM` each. */
export const times = (text: string): string[] => text.split(/[\s,，、;；]+/).filter(Boolean)

/** What is wrong, in words; the server looks at the rest. */
export function fault(form: PolicyForm): string | undefined {
  if (form.enabled && form.sources.length === 0) return '开启同步前请至少添加一个时间源'
  for (const [n, s] of form.sources.entries()) {
    if (!s.host.trim()) return `请填写第 ${n + 1} 个时间源的地址`
    if (s.port.trim() && !(/^\d{1,5}$/.test(s.port.trim()) && Number(s.port) >= 1 && Number(s.port) <= 65535)) return `第 ${n + 1} 个时间源的端口应在 1 到 65535 之间`
  }
  if (form.kind === 'daily') {
    const all = times(form.at)
    if (all.length === 0) return '请填写每天校时的时刻'
    const bad = all.find((t) => !/^([01]\d|2[0-3]):[0-5]\d$/.test(t))
    if (bad) return `“${bad}”不是时刻，请按 03:00 这样填写，多个用空格隔开`
  }
  const numbers: [number, string][] = [[form.minutes, '校时间隔'], [form.samples, '每次取样'], [form.largestS, '最大可纠正偏差'], [form.untrustedS, '可信误差上限'], [form.goodH, '测量有效期'], [form.agreeing, '至少一致的时间源数']]
  for (const [n, name] of numbers) if (!(typeof n === 'number' && n > 0)) return `${name}应为大于 0 的数`
  if (form.enabled && form.agreeing > form.sources.length) return `只有 ${form.sources.length} 个时间源，不能要求 ${form.agreeing} 个一致`
  return undefined
}

/** To the wire. */
export function policyOf(form: PolicyForm): TimePolicy {
  return {
    enabled: form.enabled,
    sources: form.sources.map((s) => ({ host: s.host.trim(), port: s.port.trim() ? Number(s.port) : null, nts: s.nts })),
    schedule: form.kind === 'every' ? { kind: 'every', seconds: Math.round(form.minutes * 60) } : { kind: 'daily', at: times(form.at) },
    samples: form.samples,
    largest_offset_ms: Math.round(form.largestS * 1000),
    untrusted_beyond_ms: Math.round(form.untrustedS * 1000),
    good_for_s: Math.round(form.goodH * 3600),
    fewest_agreeing: form.agreeing,
    nts_ca_pem: form.pem.trim() || null,
  }
}

/** Where the clock stands, in words. */
export function standing(status: TimeStatus): readonly [Tone, string, string] {
  switch (status.state) {
    case 'off': return ['quiet', '同步已关闭', '直接采用本机时钟，没有与时间源校对。']
    case 'unsynchronised': return ['warn', '尚未校准', '还没有得到时间源的可用应答。']
    case 'trusted': return ['good', '已同步', '最近一次校时成功，误差在允许范围内。']
    case 'holdover': return ['warn', '守时', '最近的校时没有成功，沿用上次测量；误差在允许范围内，仍可签名。']
    default: return ['bad', '不可信', '已暂停签名。']
  }
}

/** Microseconds in the unit that reads best. */
export function micros(us: number | null | undefined): string {
  if (us === null || us === undefined) return '—'
  const size = Math.abs(us)
  if (size < 1_000) return `${us} 微秒`
  if (size < 1_000_000) return `${Number((us / 1_000).toFixed(size < 10_000 ? 2 : 1))} 毫秒`
  return `${Number((us / 1_000_000).toFixed(2))} 秒`
}

/** The graph: offsets in milliseconds with the largest error around them; a poll that failed is a gap. */
export function graph(points: readonly TimePoint[]): { times: number[]; offset: (number | undefined)[]; high: (number | undefined)[]; low: (number | undefined)[]; failed: number } {
  const measured = points.map((p) => (p.outcome === 'measured' ? p : undefined))
  return {
    times: points.map((p) => Date.parse(p.at) / 1000),
    offset: measured.map((p) => p && p.offset_us / 1000),
    high: measured.map((p) => p && (p.offset_us + p.error_us) / 1000),
    low: measured.map((p) => p && (p.offset_us - p.error_us) / 1000),
    failed: measured.filter((p) => !p).length,
  }
}

/** The last eight polls of a source, oldest first. */
export const reached = (reach: number): boolean[] => Array.from({ length: 8 }, (_, n) => (reach & (128 >> n)) !== 0)

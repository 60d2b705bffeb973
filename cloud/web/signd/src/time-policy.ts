// The time policy as it is edited: units that people use, and what is wrong with it.
import type { TimePolicy } from './api/types'

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

// Nurses' recorders and their footage in words; everything here is a function of what the server told.
import type { Appliance, ChainEntry, Clip, ClipDetail, DerivedMedia, FootageGap, Recorder } from '@yiqiao/kit/api/types'

type Level = 'good' | 'warn' | 'bad' | 'quiet'
type Pair = readonly [Level, string]

const STANDING: Record<string, Level> = { docked: 'good', out: 'good', away: 'quiet', overdue: 'warn', missing: 'bad', unwanted: 'quiet' }
/** Where a recorder is expected, as a light. */
export const standing = (r: Recorder): Pair => [STANDING[r.standing] ?? 'quiet', r.standing_text]

/** Filters of the list, in the order in which they are looked at. */
export const GROUPS: readonly (readonly [key: string, label: string])[] = [
  ['', '全部'], ['missing', '久未入坞'], ['overdue', '超期未还'], ['out', '外出使用'], ['docked', '在坞'], ['away', '未入坞'], ['unlisted', '不在白名单'], ['retired', '已停用'],
]
/** Whether a recorder belongs to a group of the list. */
export function inGroup(r: Recorder, group: string): boolean {
  if (group === '') return true
  if (group === 'unlisted') return !r.listed
  if (group === 'retired') return r.state === 'retired'
  if (group === 'overdue') return r.overdue
  return r.standing === group
}
/** Whether a recorder is meant by what somebody typed: number, model, remark, holder or order. */
export function isMeant(r: Recorder, typed: string): boolean {
  const text = [r.serial, r.model, r.note, r.issue?.holder_name, r.issue?.order].join(' ').toLowerCase()
  return typed.trim().toLowerCase().split(/\s+/).every((word) => text.includes(word))
}

const DOCKING: Record<string, Pair> = {
  arrived: ['good', '刚入坞'], held: ['bad', '不采集'], copying: ['warn', '采集中'], waiting: ['warn', '等待云端确认'], clearing: ['warn', '清空中'], ready: ['good', '已清空，可发放'],
  kept: ['warn', '有文件未清空'], pulled: ['bad', '采集未完被取出'], interrupted: ['warn', '采集中断'], left: ['quiet', '已取走'],
}
/** How a stay in the dock stands. */
export const dockingState = (state?: string): Pair => (state ? (DOCKING[state] ?? ['quiet', state]) : ['quiet', '从未入坞'])

/** A bay of a dock, as the appliance tells it. */
export interface BayOf { appliance: Appliance; bay: number; locked: boolean; charge: string; fault: string }
/** The bay in which the dock itself feels a recorder. */
export function bayOf(serial: string, appliances: readonly Appliance[]): BayOf | undefined {
  for (const appliance of appliances) {
    const at = appliance.dock?.details?.findIndex((d, n) => appliance.dock?.bays[n] && d.serial.toUpperCase() === serial) ?? -1
    const found = appliance.dock?.details?.[at]
    if (found) return { appliance, bay: at + 1, locked: found.locked, charge: found.charge, fault: found.fault }
  }
  return undefined
}
/** Where a recorder is now, and whether that is only what was known last. */
export function place(r: Recorder, appliances: readonly Appliance[]): { text: string; stale: boolean } {
  const found = bayOf(r.serial, appliances)
  const told = appliances.find((a) => a.id === r.docking?.appliance)
  if (found) return { text: `${found.appliance.serial} · ${found.bay} 号卡位`, stale: found.appliance.link === 'offline' }
  if (r.docking?.docked) return { text: `${told?.serial ?? r.docking.appliance} · 接口 ${r.docking.place}`, stale: told?.link === 'offline' }
  if (r.issue) return { text: r.issue.holder_name, stale: false }
  return { text: r.docking ? '不在采集坞' : '从未入坞', stale: told?.link === 'offline' }
}

const CONDITION: Record<string, Pair> = { complete: ['good', '完整'], truncated: ['warn', '结尾缺失'], damaged: ['bad', '受损'], unknown: ['quiet', '未检测'] }
/** How whole a recording is. */
export const condition = (word: string): Pair => CONDITION[word] ?? ['quiet', word]
const CLIP: Record<string, Pair> = { received: ['warn', '核验中'], missing: ['warn', '等待上传'], confirmed: ['good', '已入库'], refused: ['bad', '核验未通过'] }
/** Where a clip stands. */
export const clipState = (word: string): Pair => CLIP[word] ?? ['quiet', word]
export const CONDITIONS = Object.entries(CONDITION).map(([value, [, label]]) => ({ value, label }))
export const CLIP_STATES = Object.entries(CLIP).map(([value, [, label]]) => ({ value, label }))

/** A length in words: `4 分 10 秒`, `1 小时 2 分`. */
export function lengthText(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000))
  if (s < 60) return `${s} 秒`
  const [hours, minutes, seconds] = [Math.floor(s / 3600), Math.floor(s / 60) % 60, s % 60]
  if (hours === 0) return seconds ? `${minutes} 分 ${seconds} 秒` : `${minutes} 分`
  return minutes ? `${hours} 小时 ${minutes} 分` : `${hours} 小时`
}
/** Bytes in words. */
export function sizeText(bytes: number): string {
  if (bytes < 1024) return `${bytes} 字节`
  const units = ['KB', 'MB', 'GB', 'TB']
  let [value, unit] = [bytes / 1024, 0]
  while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1]
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`
}
/** How far the recorder's clock was off, and what was done about it. */
export function offsetText(ms?: number | null): string {
  if (ms === undefined || ms === null) return '记录仪未提供时钟，以入坞时间为准'
  if (Math.abs(ms) < 1000) return '记录仪时钟准确'
  return `记录仪时钟${ms > 0 ? '快' : '慢'} ${lengthText(Math.abs(ms))}，显示时间已校正，原始时间保留在条目中`
}

const gapLength = (g: FootageGap) => new Date(g.to).getTime() - new Date(g.from).getTime()
/** `缺 4 分 10 秒`. */
export const gapText = (g: FootageGap) => `缺 ${lengthText(gapLength(g))}`
/** What one docking brought, in order: recordings and what is missing between them. */
export type Piece = { kind: 'clip'; clip: Clip } | { kind: 'gap'; gap: FootageGap }
export function pieces(clips: readonly Clip[], gaps: readonly FootageGap[]): Piece[] {
  const at = (p: Piece) => new Date(p.kind === 'clip' ? p.clip.began_at : p.gap.from).getTime()
  const all: Piece[] = [...clips.map((clip) => ({ kind: 'clip' as const, clip })), ...gaps.map((gap) => ({ kind: 'gap' as const, gap }))]
  // At the same moment the recording comes first: a gap begins where one ends.
  return all.sort((a, b) => at(a) - at(b) || (a.kind === b.kind ? 0 : a.kind === 'clip' ? -1 : 1))
}

/** A piece of a shift on its line: where it is drawn, in percent, and what time it stands for. */
export interface Span { piece: Piece; fromMs: number; lengthMs: number; left: number; width: number }
/** Of a pause no more than this part of what was recorded is drawn: a shift is short and the way between two homes is long. */
const PAUSE_SHOWN = 0.12
/** Shorter ones are a recorder's own, from one file to the next. */
const PAUSE_MS = 1500
/** Narrower ones could not be touched. */
const NARROWEST = 1.5
/** The recordings of one shift as one line, pauses between them shortened and marked. */
export function shift(clips: readonly Clip[]): Span[] {
  const films = clips.filter((c) => ['mp4', 'ts', 'avi'].includes(c.container)).map((c) => ({ clip: c, fromMs: new Date(c.began_at).getTime(), lengthMs: c.playable_ms ?? c.duration_ms ?? 0 })).sort((a, b) => a.fromMs - b.fromMs)
  const recorded = Math.max(1, films.reduce((sum, f) => sum + f.lengthMs, 0))
  const parts: { piece: Piece; fromMs: number; lengthMs: number; drawn: number }[] = []
  let end = films[0]?.fromMs ?? 0
  for (const { clip, fromMs, lengthMs } of films) {
    const pause = fromMs - end
    if (pause > PAUSE_MS) parts.push({ piece: { kind: 'gap', gap: { from: new Date(end).toISOString(), to: new Date(fromMs).toISOString() } }, fromMs: end, lengthMs: pause, drawn: Math.min(pause, recorded * PAUSE_SHOWN) })
    parts.push({ piece: { kind: 'clip', clip }, fromMs, lengthMs, drawn: lengthMs })
    end = Math.max(end, fromMs + lengthMs)
  }
  const whole = Math.max(1, parts.reduce((sum, p) => sum + p.drawn, 0))
  const widths = parts.map((p) => Math.max(NARROWEST, (p.drawn / whole) * 100))
  const scale = 100 / Math.max(1, widths.reduce((sum, w) => sum + w, 0))
  let left = 0
  return parts.map(({ piece, fromMs, lengthMs }, i) => {
    const width = (widths[i] ?? 0) * scale
    const span = { piece, fromMs, lengthMs, left, width }
    left += width
    return span
  })
}
/** The recording that is played after this one, and what is missing between them. */
export function following(spans: readonly Span[], id: string): { clip: Clip; pauseMs: number } | undefined {
  const at = spans.findIndex((s) => s.piece.kind === 'clip' && s.piece.clip.id === id)
  let pauseMs = 0
  for (const { piece, lengthMs } of at < 0 ? [] : spans.slice(at + 1)) {
    if (piece.kind === 'gap') pauseMs += lengthMs
    else if (piece.clip.state === 'confirmed') return { clip: piece.clip, pauseMs }
  }
  return undefined
}

/** A moment of a recording as people write it, to a tenth: `1:02.5`. */
export function moment(ms: number): string {
  const tenths = Math.round(Math.max(0, ms) / 100)
  return tenths % 10 ? `${clock(Math.floor(tenths / 10))}.${tenths % 10}` : clock(tenths / 10)
}
/** The milliseconds of a written moment: `90`, `1:30`, `1:02:03.5`; undefined when it is none. */
export function momentMs(text: string): number | undefined {
  const parts = text.trim().replaceAll('：', ':').split(':')
  if (parts.length > 3 || !parts.every((p, i) => (i === parts.length - 1 ? /^\d{1,6}(\.\d{1,3})?$/ : /^\d{1,4}$/).test(p))) return undefined
  return Math.round(parts.reduce((sum, p) => sum * 60 + Number(p), 0) * 1000)
}

const DERIVED: Record<DerivedMedia['state'], Pair> = { wanted: ['quiet', '排队中'], making: ['warn', '制作中'], made: ['good', '已完成'], failed: ['bad', '失败'], cancelled: ['quiet', '已取消'] }
/** Where a copy that somebody asked for stands. */
export const derivedState = (state: DerivedMedia['state']): Pair => DERIVED[state]
/** Whether it is still being made, or about to. */
export const underWay = (object?: DerivedMedia) => object?.state === 'wanted' || object?.state === 'making'

/** What was verified about a clip, line by line; `undefined` where nobody has looked yet. */
export interface Check { key: string; holds: boolean | undefined; text: string }
export function checks(clip: ClipDetail): Check[] {
  const { proof } = clip
  const chain: Record<string, readonly [boolean | undefined, string]> = {
    whole: [true, '保管链衔接：本条目写明的前一条目摘要与云端所存一致'],
    open: [undefined, '保管链待衔接：前一条目还没有到达云端'],
    broken: [false, '保管链断裂：本条目写明的前一条目摘要与云端所存不一致'],
  }
  const content = proof.content === undefined || proof.content === null ? undefined : proof.content
  return [
    { key: 'signature', holds: proof.signature, text: proof.signature ? '签名有效：条目由采集的前置机签署，签署后未被改动' : '签名无效：条目可能被改动，或不是采集的前置机签署' },
    { key: 'chain', holds: chain[proof.chain]?.[0], text: chain[proof.chain]?.[1] ?? proof.chain },
    {
      key: 'content', holds: content,
      text: content === undefined ? clip.state !== 'confirmed' ? '文件摘要：云端没有核对通过的文件' : '文件摘要：入库时已核对 SM3 和 SHA-256；点“重新核验”逐字节再算一遍' : content ? '文件一致：刚刚逐字节重算，SM3 和 SHA-256 均与条目相同' : '文件不一致：所存文件与条目中的摘要不同',
    },
  ]
}
/** What all of it comes to, as a note; never better than its worst part. */
export function verdict(clip: ClipDetail): readonly ['ok' | 'warn' | 'danger', string] {
  if (clip.state === 'refused' || checks(clip).some((c) => c.holds === false)) return ['danger', `不能作为证据使用：${[clip.note, clip.proof.text].filter(Boolean).join('；')}`]
  if (clip.state !== 'confirmed') return ['warn', '云端还没有核对完，暂时不能下结论。']
  if (clip.proof.chain === 'open') return ['warn', '签名和文件都一致；前一条目还没有到达云端，到达后才能确认前后完整。']
  return ['ok', '从采集到现在，这份视音频没有被改动过。']
}
/** One entry of the chain in a sentence. */
export function entryPair(e: ChainEntry): Pair {
  if (!e.signature) return ['bad', '签名无效']
  if (e.link === 'broken') return ['bad', '与前一条目不衔接']
  return e.link === 'open' ? ['warn', '前一条目未到'] : ['good', '签名有效，前后衔接']
}

/** What a browser surely cannot play: the container decides, the codec shows only in the player. */
export const playable = (container: string) => container === 'mp4' || container === 'wav'
/** `1:02:03` of seconds. */
export function clock(seconds: number): string {
  const s = Math.max(0, Math.floor(Number.isFinite(seconds) ? seconds : 0))
  const two = (n: number) => n.toString().padStart(2, '0')
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`
}

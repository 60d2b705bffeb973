// Lines of a prescription while they are being written.
import type { Drug, Frequency, Herb, RxItem, Term, WesternItem } from '@yiqiao/kit/api/types'
import { doctorApi } from '@yiqiao/kit/api/doctor'
import { lineSum, millionths, type LineSum } from '@yiqiao/kit/dosage'

/** A western line in the editor. */
export interface WesternLine {
  key: number
  drug: Drug
  dose: string
  route_code: string
  frequency_code: string
  days: number
  quantity: number
  /** The doctor changed the quantity by hand; it no longer follows the days. */
  byHand: boolean
  note: string
}
/** A herb in the editor. */
export interface HerbLine {
  key: number
  herb: Herb
  grams: number
  note: string
}

let last = 0

/** A new line with the catalogue's usual route and frequency. */
export function newWestern(drug: Drug, routes: Term[], frequencies: Frequency[]): WesternLine {
  return {
    key: ++last, drug, dose: drug.dose_per_min_unit, route_code: drug.default_route_code ?? routes[0]?.code ?? '',
    frequency_code: drug.default_frequency_code ?? frequencies[0]?.code ?? '', days: 7, quantity: 0, byHand: false, note: '',
  }
}
export function newHerb(herb: Herb): HerbLine {
  return { key: ++last, herb, grams: Math.min(10, herb.max_dose_g ?? 10), note: '' }
}

/** The arithmetic of a line. */
export function sumOf(line: WesternLine, frequencies: Frequency[]): LineSum | undefined {
  return lineSum(line.drug, line.dose, frequencies.find((f) => f.code === line.frequency_code), line.days, line.quantity)
}
/** Let the quantity follow dose, frequency and days unless it was set by hand. */
export function follow(line: WesternLine, frequencies: Frequency[]): void {
  if (line.byHand) return
  const sum = sumOf({ ...line, quantity: 0 }, frequencies)
  if (sum) line.quantity = sum.packs
}
/** What is missing in a line, in words. */
export function gapOf(line: WesternLine): string | undefined {
  if (!millionths(line.dose)) return '单次量应为大于 0 的数字'
  if (!line.route_code) return '请选择途径'
  if (!line.frequency_code) return '请选择频次'
  if (!Number.isInteger(line.days) || line.days < 1) return '天数应为整数'
  if (!Number.isInteger(line.quantity) || line.quantity < 1) return '数量应为整数'
  return undefined
}
export function toItem(line: WesternLine): WesternItem {
  return {
    drug_code: line.drug.code, dose: line.dose.trim(), dose_unit: line.drug.dose_unit, route_code: line.route_code, frequency_code: line.frequency_code,
    days: line.days, quantity: line.quantity, quantity_unit: line.drug.pack_unit, note: line.note.trim(),
  }
}
export function toHerbItem(line: HerbLine): WesternItem {
  return { drug_code: line.herb.code, dose_g: line.grams, note: line.note.trim() }
}

/** Lines of a saved draft, with the catalogue's data fetched again. */
export async function fromItems(items: RxItem[], frequencies: Frequency[]): Promise<WesternLine[]> {
  const found = await Promise.all(items.map(async (i) => ({ i, drug: (await doctorApi.drugs(i.name)).find((d) => d.code === i.drug_code) })))
  return found.flatMap(({ i, drug }) => {
    if (!drug) return []
    const line = { key: ++last, drug, dose: i.dose, route_code: i.route_code, frequency_code: i.frequency_code, days: i.days, quantity: i.quantity, byHand: false, note: i.note }
    return [{ ...line, byHand: sumOf(line, frequencies)?.packs !== i.quantity }]
  })
}
export async function fromHerbItems(items: RxItem[]): Promise<HerbLine[]> {
  const found = await Promise.all(items.map(async (i) => ({ i, herb: (await doctorApi.herbs(i.name)).find((h) => h.code === i.drug_code) })))
  return found.flatMap(({ i, herb }) => (herb ? [{ key: ++last, herb, grams: Number(i.dose), note: i.note }] : []))
}

// Arithmetic of a western prescription line: dose × frequency × days against packs. Decimal text is computed in
// thousandths, never in floating point.

/** What the arithmetic needs to know of a drug. */
export interface DrugUnits {
  dose_per_min_unit: string
  dose_unit: string
  min_unit: string
  pack_unit: string
  pack_size: number
  max_single_dose?: string | null
}
/** A frequency: `times` in `per_days` days. */
export interface FrequencyUnits {
  times: number
  per_days: number
}
/** What a line comes to. */
export interface LineSum {
  /** Minimal units per taking as text, e.g. `1` or `0.5`. */
  unitsPerTaking: string
  /** Number of takings over the days. */
  takings: number
  /** Minimal units for the whole course, rounded up to whole units. */
  units: number
  /** Packs needed. */
  packs: number
  /** Days that `quantity` packs last. */
  lastsDays?: number
  /** The sum in words. */
  words: string
  warnings: string[]
}

/** Thousandths of a decimal text, or undefined when it is not one. */
export function thousandths(text: string): number | undefined {
  const found = /^(\d{1,7})(?:\.(\d{1,3}))?$/.exec(text.trim())
  if (!found) return undefined
  return Number(found[1]) * 1000 + Number((found[2] ?? '').padEnd(3, '0'))
}

function plain(ratio: number): string {
  return Number(ratio.toFixed(2)).toString()
}

/** Compute a line; undefined while something is missing or not a number. */
export function lineSum(drug: DrugUnits, dose: string, frequency: FrequencyUnits | undefined, days: number, quantity: number): LineSum | undefined {
  const single = thousandths(dose)
  const strength = thousandths(drug.dose_per_min_unit)
  if (!single || !strength || !frequency || frequency.times < 1 || frequency.per_days < 1) return undefined
  if (!Number.isInteger(days) || days < 1 || drug.pack_size < 1) return undefined
  const takings = Math.ceil((days * frequency.times) / frequency.per_days)
  const units = Math.ceil((single * takings) / strength)
  const packs = Math.ceil(units / drug.pack_size)
  const warnings: string[] = []
  const limit = drug.max_single_dose ? thousandths(drug.max_single_dose) : undefined
  if (limit !== undefined && single > limit) warnings.push(`单次 ${dose}${drug.dose_unit} 超过最大单次量 ${drug.max_single_dose}${drug.dose_unit}`)
  let lastsDays: number | undefined
  if (Number.isInteger(quantity) && quantity > 0) {
    const perDay = (single * frequency.times) / frequency.per_days / strength
    lastsDays = Math.floor((quantity * drug.pack_size) / perDay)
    if (quantity < packs) warnings.push(`数量不足：${days} 天需 ${packs}${drug.pack_unit}，现为 ${quantity}${drug.pack_unit}`)
    if (quantity > packs) warnings.push(`数量偏多：${days} 天需 ${packs}${drug.pack_unit}，现为 ${quantity}${drug.pack_unit}`)
  }
  const words = `每次 ${plain(single / strength)}${drug.min_unit} × ${takings} 次 = ${units}${drug.min_unit}，合 ${packs}${drug.pack_unit}`
  return { unitsPerTaking: plain(single / strength), takings, units, packs, lastsDays, words, warnings }
}

/** Price of a herb line: grams per dose × doses × price of one gram. */
export function herbAmount(doseG: number, doses: number, fenPerG: number): number {
  return Math.round(doseG * doses * fenPerG)
}

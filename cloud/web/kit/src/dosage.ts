// Arithmetic of a western prescription line: dose × frequency × days against packs. Decimal text is computed in
// whole millionths, never in floating point; the server computes the same and has the last word.

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

/** Millionths of a decimal text, or undefined when it is not one. */
export function millionths(text: string): bigint | undefined {
  const found = /^(\d{1,7})(?:\.(\d{1,6}))?$/.exec(text.trim())
  return found ? BigInt(found[1] + (found[2] ?? '').padEnd(6, '0')) : undefined
}

const ceil = (a: bigint, b: bigint) => (a + b - 1n) / b

/** `a / b` with at most two places. */
function ratio(a: bigint, b: bigint): string {
  return (Number((a * 100n + b / 2n) / b) / 100).toString()
}

/** Compute a line; undefined while something is missing or not a number. */
export function lineSum(drug: DrugUnits, dose: string, frequency: FrequencyUnits | undefined, days: number, quantity: number): LineSum | undefined {
  const single = millionths(dose)
  const strength = millionths(drug.dose_per_min_unit)
  if (!single || !strength || !frequency || frequency.times < 1 || frequency.per_days < 1) return undefined
  if (!Number.isInteger(days) || days < 1 || !Number.isInteger(drug.pack_size) || drug.pack_size < 1) return undefined
  const takings = Math.ceil((days * frequency.times) / frequency.per_days)
  const units = ceil(single * BigInt(takings), strength)
  const packs = Number(ceil(units, BigInt(drug.pack_size)))
  const warnings: string[] = []
  const limit = drug.max_single_dose ? millionths(drug.max_single_dose) : undefined
  if (limit !== undefined && single > limit) warnings.push(`单次 ${dose}${drug.dose_unit} 超过最大单次量 ${drug.max_single_dose}${drug.dose_unit}`)
  let lastsDays: number | undefined
  if (Number.isInteger(quantity) && quantity > 0) {
    lastsDays = Number((BigInt(quantity * drug.pack_size * frequency.per_days) * strength) / (single * BigInt(frequency.times)))
    if (quantity < packs) warnings.push(`数量不足：${days} 天需 ${packs}${drug.pack_unit}，现为 ${quantity}${drug.pack_unit}`)
    if (quantity > packs) warnings.push(`数量偏多：${days} 天需 ${packs}${drug.pack_unit}，现为 ${quantity}${drug.pack_unit}`)
  }
  const each = ratio(single, strength)
  return { unitsPerTaking: each, takings, units: Number(units), packs, lastsDays, words: `每次 ${each}${drug.min_unit} × ${takings} 次 = ${units}${drug.min_unit}，合 ${packs}${drug.pack_unit}`, warnings }
}

/** Price of a herb line in fen: grams per dose × doses × fen per kilogram, rounded half up once for the line, as the hospital's bill does. */
export function herbAmount(doseG: number, doses: number, fenPerKg: number): number {
  if (!Number.isInteger(doseG) || !Number.isInteger(doses) || doseG < 0 || doses < 0) return 0
  return Number((BigInt(doseG) * BigInt(doses) * BigInt(fenPerKg) + 500n) / 1000n)
}

/** Price of a gram in yuan as the price list has it, e.g. `0.036`. */
export function perGram(fenPerKg: number): string {
  return `¥${Number((fenPerKg / 100_000).toFixed(5))}`
}

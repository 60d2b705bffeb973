// Resident identity card numbers (GB 11643-1999): check with words a patient understands.
import { localDay } from './time'

/** What a valid number tells. */
export interface IdFacts {
  birth: string
  sex: 'M' | 'F'
}
/** Facts, or what is wrong in words. */
export type IdCheck = { ok: true; facts: IdFacts } | { ok: false; words: string }

const WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]
const CHECKS = '10X98765432'

/** Blanks out, `x` up, full-width digits made plain: what people paste. */
export function tidyId(input: string): string {
  return input.normalize('NFKC').replace(/\s/g, '').toUpperCase()
}

function dayExists(day: string): boolean {
  const at = new Date(`${day}T00:00:00Z`)
  return !Number.isNaN(at.getTime()) && at.toISOString().slice(0, 10) === day
}

/** Check a number as of `today`. */
export function checkId(input: string, today: string = localDay()): IdCheck {
  const id = tidyId(input)
  if (id === '') return { ok: false, words: '请输入身份证号' }
  if (id.length === 15) return { ok: false, words: '这是 15 位旧号码，请输入 18 位身份证号' }
  if (!/^[0-9X]+$/.test(id)) return { ok: false, words: '身份证号只能有数字，最后一位可以是 X' }
  if (id.length !== 18) return { ok: false, words: `身份证号应为 18 位，现在是 ${id.length} 位` }
  if (!/^\d{17}[\dX]$/.test(id)) return { ok: false, words: 'X 只能出现在最后一位' }
  const birth = `${id.slice(6, 10)}-${id.slice(10, 12)}-${id.slice(12, 14)}`
  if (!dayExists(birth) || birth < '1880-01-01') return { ok: false, words: '身份证号中的出生日期不存在，请核对' }
  if (birth > today) return { ok: false, words: '身份证号中的出生日期在今天之后，请核对' }
  const sum = WEIGHTS.reduce((all, weight, i) => all + weight * Number(id[i]), 0)
  if (CHECKS[sum % 11] !== id[17]) return { ok: false, words: '身份证号有误（校验位不符），请逐位核对' }
  return { ok: true, facts: { birth, sex: Number(id[16]) % 2 === 1 ? 'M' : 'F' } }
}

/** Whole years of age on `today`. */
export function years(birth: string, today: string = localDay()): number {
  const whole = Number(today.slice(0, 4)) - Number(birth.slice(0, 4))
  return today.slice(5) < birth.slice(5) ? whole - 1 : whole
}

/** What is wrong with a mobile number, if anything. */
export function phoneFault(input: string): string | undefined {
  const phone = input.replace(/[\s-]/g, '')
  if (phone === '') return '请输入手机号'
  return /^1[3-9]\d{9}$/.test(phone) ? undefined : '请输入 11 位手机号'
}

/** What is wrong with a name, if anything. */
export function nameFault(input: string): string | undefined {
  const name = input.trim()
  if (name === '') return '请输入姓名'
  if (/[\d<>&"'/\\]/.test(name)) return '姓名中不能有数字或符号'
  return name.length >= 2 && name.length <= 30 ? undefined : '请输入身份证上的完整姓名'
}

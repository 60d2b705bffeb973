import { describe, expect, it } from 'vitest'
import { checkId, nameFault, phoneFault, tidyId, years } from '../src/id-number'

const TODAY = '2026-11-21'
/** The number of these 17 digits with its right check digit. */
function whole(first: string): string {
  const weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]
  return first + '10X98765432'[weights.reduce((sum, w, i) => sum + w * Number(first[i]), 0) % 11]
}
const words = (input: string) => {
  const checked = checkId(input, TODAY)
  return checked.ok ? '' : checked.words
}

describe('identity card number', () => {
  it('accepts the example of GB 11643 and reads birth and sex from it', () => {
    expect(checkId('11010519491231002X', TODAY)).toEqual({ ok: true, facts: { birth: '1949-12-31', sex: 'F' } })
    expect(checkId('440524188001010014', TODAY)).toEqual({ ok: true, facts: { birth: '1880-01-01', sex: 'M' } })
  })
  it('forgives blanks, small x and full-width digits from pasting', () => {
    expect(tidyId(' 110105 19491231 002x')).toBe('11010519491231002X')
    expect(checkId('１１０１０５１９４９１２３１００２Ｘ', TODAY).ok).toBe(true)
  })
  it('finds every single wrong digit', () => {
    const right = '11010519491231002X'
    for (let at = 0; at < 17; at += 1)
      for (const digit of '0123456789') {
        if (digit === right[at]) continue
        expect(checkId(right.slice(0, at) + digit + right.slice(at + 1), TODAY).ok).toBe(false)
      }
  })
  it('finds neighbouring digits that were swapped', () => {
    expect(checkId('11010519491213002X', TODAY).ok).toBe(false)
    expect(checkId('11010519941231002X', TODAY).ok).toBe(false)
  })
  it('says in words what is wrong', () => {
    expect(words('')).toBe('请输入身份证号')
    expect(words('110105491231002')).toContain('15 位旧号码')
    expect(words('1101051949123100')).toBe('身份证号应为 18 位，现在是 16 位')
    expect(words('1101051949123100AB')).toContain('只能有数字')
    expect(words('X10105194912310021')).toContain('X 只能出现在最后一位')
    expect(words('110105194912310020')).toContain('校验位不符')
    expect(words(whole('11010519490230001'))).toContain('出生日期不存在')
    expect(words(whole('11010520270101001'))).toContain('今天之后')
  })
  it('counts years on the birthday, not before', () => {
    expect(years('2008-11-21', TODAY)).toBe(18)
    expect(years('2008-11-22', TODAY)).toBe(17)
  })
})

describe('phone and name', () => {
  it('take what a patient writes and say what is missing', () => {
    expect(phoneFault('138 7460-0123')).toBeUndefined()
    expect(phoneFault('12345678901')).toBe('请输入 11 位手机号')
    expect(nameFault('阿依古丽·买买提')).toBeUndefined()
    expect(nameFault('李')).toContain('完整姓名')
    expect(nameFault('李4')).toContain('不能有数字')
  })
})

import { describe, expect, it } from 'vitest'
import { codeOf, tidyCode } from '../src/verify-code'

describe('code of a prescription', () => {
  it('is the same however it was typed', () => {
    for (const typed of ['ehzycu4vw4jc5k5h', 'Ehzycu4vw4jc5k5h', ' EHZY CU4V-W4JC 5K5H\n', 'ｅｈｚｙｃｕ４ｖｗ４ｊｃ５ｋ５ｈ', 'https://hlwyy.example/verify/ehzycu4vw4jc5k5h?from=qr', 'ehzycu4v\u200bw4jc5k5h']) {
      expect(tidyCode(typed)).toBe('ehzycu4vw4jc5k5h')
    }
  })
  it('is read from any address without falling over', () => {
    expect(codeOf('/verify/Ehzycu4vw4jc5k5h')).toBe('ehzycu4vw4jc5k5h')
    expect(codeOf('/verify/')).toBe('')
    expect(codeOf('/verify/index.html')).toBe('')
    expect(codeOf('/verify/%E0%A4%A')).toBe('%E0%A4%A')
  })
})

// What the signature server takes as a PIN; it has the last word.

/** Fewest and most digits. */
export const PIN_DIGITS = [4, 12] as const

/** What speaks against choosing this PIN, in words. */
export function pinFault(pin: string): string | undefined {
  if (!/^\d{4,12}$/.test(pin)) return `签名密码为 ${PIN_DIGITS[0]}–${PIN_DIGITS[1]} 位数字`
  const steps = (by: number) => [...pin].every((d, i) => i === 0 || (Number(pin[i - 1]) + by) % 10 === Number(d))
  return [0, 1, 9].some(steps) ? '密码过于简单（如 1111、1234），请换一个' : undefined
}

// Money is integer fen; it becomes text here and nowhere else.

/** `1234` → `¥12.34`. */
export function yuan(fen: number): string {
  if (!Number.isSafeInteger(fen)) throw new RangeError(`not an amount in fen: ${fen}`)
  const sign = fen < 0 ? '-' : ''
  const whole = Math.floor(Math.abs(fen) / 100)
  const rest = Math.abs(fen) % 100
  return `${sign}¥${whole.toString().replace(/\B(?=(\d{3})+$)/g, ',')}.${rest.toString().padStart(2, '0')}`
}

/** Price shown to a patient: nothing to pay is said in words. */
export function price(fen: number): string {
  return fen === 0 ? '免费' : yuan(fen)
}

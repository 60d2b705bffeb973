import type { Group } from '@yiqiao/kit/api/types'

/** The four lists of the ward's wording. */
export const GROUPS = [
  { key: 'waiting', label: '待报到' },
  { key: 'checked_in', label: '待接诊' },
  { key: 'in_progress', label: '问诊中' },
  { key: 'finished', label: '已结束' },
] as const

const PLACE = 'yiqiao.group'
/** The list last looked at. */
export function remembered(): Group {
  const key = sessionStorage.getItem(PLACE)
  return GROUPS.find((g) => g.key === key)?.key ?? 'checked_in'
}
export function remember(key: Group): void {
  sessionStorage.setItem(PLACE, key)
}

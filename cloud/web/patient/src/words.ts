import type { Relation, Visit } from '@yiqiao/kit/api/types'
import { dateTime } from '@yiqiao/kit/time'

export const RELATIONS: { value: Relation; label: string }[] = [
  { value: 'self', label: '本人' }, { value: 'spouse', label: '配偶' }, { value: 'child', label: '子女' },
  { value: 'parent', label: '父母' }, { value: 'other', label: '其他' },
]
export const relationName = (relation?: string) => RELATIONS.find((r) => r.value === relation)?.label ?? ''
export const sexName = (sex?: string) => (sex === 'M' || sex === 'male' ? '男' : sex === 'F' || sex === 'female' ? '女' : '')

/** What comes next after a booking is paid: checking in, at once where the hospital lets people come early. */
export function waitingWords(visit: Pick<Visit, 'allowed' | 'check_in_from'>): string {
  if (visit.allowed.includes('check_in')) return '挂号成功，现在就可以点“报到”，进入候诊'
  return visit.check_in_from ? `挂号成功，${dateTime(visit.check_in_from).slice(5)} 起可以报到` : '挂号成功，到时间后请报到'
}

import type { Relation } from '@yiqiao/kit/api/types'

export const RELATIONS: { value: Relation; label: string }[] = [
  { value: 'self', label: '本人' }, { value: 'spouse', label: '配偶' }, { value: 'child', label: '子女' },
  { value: 'parent', label: '父母' }, { value: 'other', label: '其他' },
]
export const relationName = (relation?: string) => RELATIONS.find((r) => r.value === relation)?.label ?? ''
export const sexName = (sex?: string) => (sex === 'M' || sex === 'male' ? '男' : sex === 'F' || sex === 'female' ? '女' : '')

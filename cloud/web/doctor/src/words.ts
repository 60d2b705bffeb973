import type { ProblemClass } from '@yiqiao/kit/api/types'

export const sexName = (sex?: string | null) => (sex === 'M' || sex === 'male' ? '男' : sex === 'F' || sex === 'female' ? '女' : '')

/** Why the catalogue bars a drug online, if it does. */
export function drugBar(drug: { control: string; barred_online: boolean }): string | undefined {
  const CONTROL: Record<string, string> = { narcotic: '麻醉药品，禁止线上开具', psychotropic_one: '第一类精神药品，禁止线上开具', psychotropic_two: '第二类精神药品，禁止线上开具', toxic: '毒性药品，禁止线上开具' }
  return CONTROL[drug.control] ?? (drug.barred_online ? '本院规定不可线上开具' : undefined)
}

/** The nine problem classes of a pharmacist's review. */
export const PROBLEMS: { value: ProblemClass; label: string }[] = [
  { value: 'interaction', label: '药物相互作用' }, { value: 'allergy', label: '药物过敏' }, { value: 'injection_compatibility', label: '注射液体外配伍' },
  { value: 'dose', label: '剂量范围' }, { value: 'contraindication', label: '药物禁忌' }, { value: 'adverse_reaction', label: '不良反应' },
  { value: 'duplicate', label: '重复用药' }, { value: 'route', label: '给药途径' }, { value: 'special_population', label: '特殊人群用药' },
]
export const problemName = (value: string) => PROBLEMS.find((p) => p.value === value)?.label ?? (value === 'antibiotic' ? '抗菌药物' : value === 'his' ? '医院系统拒收' : value)

import { get, path, seg, write } from './call'
import type { AdminVisit, Appliance, AuditRow, ManualItem, Page, Payment, Settings, Visit } from './types'

/** Filters of the visit search. */
export interface VisitSearch { q: string; state: string; department_code: string; from: string; to: string }

/** What an administrator may ask and do. */
export const adminApi = {
  visits: (search: VisitSearch, page: number, size: number) => get<Page<Visit>>('/admin/visits', { ...search, page, size }),
  csvUrl: (search: VisitSearch) => path('/admin/visits.csv', { ...search }),
  visit: (id: string) => get<AdminVisit>(`/admin/visits/${seg(id)}`),
  appliances: () => get<Appliance[]>('/admin/appliances'),
  manual: () => get<ManualItem[]>('/admin/manual'),
  retry: (id: string) => write<void>('POST', `/admin/manual/${seg(id)}/retry`),
  settle: (id: string, note: string, outcome?: string) => write<void>('POST', `/admin/manual/${seg(id)}/settle`, { note, outcome }),
  payments: (query: Record<string, string>, page: number, size: number) => get<Page<Payment>>('/admin/payments', { ...query, page, size }),
  audit: (query: Record<string, string>, page: number, size: number) => get<Page<AuditRow>>('/admin/audit', { ...query, page, size }),
  settings: () => get<Settings>('/admin/settings'),
  saveSettings: (settings: Settings) => write<Settings>('PUT', '/admin/settings', settings),
}

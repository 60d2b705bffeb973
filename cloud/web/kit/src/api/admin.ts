import { api, body, path, slow } from './call'
import type { Paged, Visit, Appliance, Settings, StaffForm } from './types'

const one = (id: string) => ({ params: { path: { id } } })
/** Filters of the visit search. */
export interface VisitSearch { q: string; state: string; department_code: string; from: string; to: string }

/** Filters of the audit; days are the hospital's (UTC+8). */
export interface AuditSearch { q: string; actor: string; action: string; subject: string; from: string; to: string }
/** How a charge of another amount, or a visit the hospital does not speak about, was settled. */
export type Outcome = 'registered' | 'refund' | 'accept'

/** What an administrator may ask and do. */
export const adminApi = {
  visits: (search: VisitSearch, page: number, size: number) => body(api.GET('/api/v1/admin/visits', { params: { query: { ...search, page, size } } })) as Promise<Paged<Visit>>,
  csvUrl: (search: VisitSearch) => path('/admin/visits.csv', { ...search }),
  visit: (id: string) => body(api.GET('/api/v1/admin/visits/{id}', one(id))),
  // Printers and endpoints come as the appliance reports them.
  appliances: () => body(api.GET('/api/v1/admin/appliances')) as Promise<Appliance[]>,
  manual: () => body(api.GET('/api/v1/admin/manual')),
  retry: (id: string) => body(api.POST('/api/v1/admin/manual/{id}/retry', one(id))),
  settle: (id: string, note: string, outcome?: Outcome) => body(api.POST('/api/v1/admin/manual/{id}/settle', { ...one(id), body: { note, outcome } })),
  retryByHand: (id: string) => body(api.POST('/api/v1/admin/prescriptions/{id}/by-hand/retry', one(id))),
  settleByHand: (id: string, found: { note: string; payment?: 'taken' | 'not_taken'; his_order_number?: string }) => body(api.POST('/api/v1/admin/prescriptions/{id}/by-hand/settle', { ...one(id), body: found })),
  byHand: () => body(api.GET('/api/v1/admin/prescriptions/by-hand')),
  payments: (query: { q: string; state: string; from: string; to: string }, page: number, size: number) => body(api.GET('/api/v1/admin/payments', { params: { query: { ...query, page, size } } })),
  audit: (query: AuditSearch, page: number, size: number) => body(api.GET('/api/v1/admin/audit', { params: { query: { ...query, page, size } } })),
  auditCsvUrl: (query: AuditSearch) => path('/admin/audit.csv', { ...query }),
  // The whole chain is walked: as long as an upload may take.
  verifyAudit: () => body(api.POST('/api/v1/admin/audit/verify', { ...slow })),
  checkpoints: () => body(api.GET('/api/v1/admin/audit/checkpoints')),
  signCheckpoint: () => body(api.POST('/api/v1/admin/audit/checkpoints')),
  settings: () => body(api.GET('/api/v1/admin/settings')) as Promise<Settings>,
  saveSettings: (settings: Settings) => body(api.PUT('/api/v1/admin/settings', { body: settings })) as Promise<Settings>,
  staff: () => body(api.GET('/api/v1/admin/staff')),
  addStaff: (form: StaffForm) => body(api.POST('/api/v1/admin/staff', { body: form })),
  changeStaff: (id: string, form: StaffForm) => body(api.PUT('/api/v1/admin/staff/{id}', { ...one(id), body: form })),
  resetStaff: (id: string, password: string) => body(api.POST('/api/v1/admin/staff/{id}/reset', { ...one(id), body: { password } })),
  disableStaff: (id: string) => body(api.POST('/api/v1/admin/staff/{id}/disable', one(id))),
  enableStaff: (id: string) => body(api.POST('/api/v1/admin/staff/{id}/enable', one(id))),
}

import { api, body, path, seg, slow } from './call'
import type { Appliance, Clip, ClipDetail, Docking, FoundPrinter, NewExport, NewRecorder, Paged, PrintLayout, PrintPaper, PrintTemplate, Printing, Recorder, RecorderAct, RecorderDetail, Settings, StaffForm, Visit } from './types'

const one = (id: string) => ({ params: { path: { id } } })
/** Filters of the visit search. */
export interface VisitSearch { q: string; state: string; department_code: string; from: string; to: string }

/** Filters of the audit; days are the hospital's (UTC+8). */
export interface AuditSearch { q: string; actor: string; action: string; subject: string; from: string; to: string }
/** Filters of the footage. */
export interface FootageSearch { holder: string; patient: string; order: string; serial: string; condition: string; state: string; from: string; to: string }
/** How a charge of another amount, or a visit the hospital does not speak about, was settled. */
export type Outcome = 'registered' | 'refund' | 'accept'

/** What an administrator may ask and do. */
export const adminApi = {
  visits: (search: VisitSearch, page: number, size: number) => body(api.GET('/api/v1/admin/visits', { params: { query: { ...search, page, size } } })) as Promise<Paged<Visit>>,
  csvUrl: (search: VisitSearch) => path('/admin/visits.csv', { ...search }),
  visit: (id: string) => body(api.GET('/api/v1/admin/visits/{id}', one(id))),
  // Printers and endpoints come as the appliance reports them.
  appliances: () => body(api.GET('/api/v1/admin/appliances')) as Promise<Appliance[]>,
  // What is asked of the dock's board, answered by the appliance.
  dockRenewals: () => body(api.GET('/api/v1/admin/dock/firmware')),
  renewDock: (pkg: string) => body(api.POST('/api/v1/admin/dock/firmware', { body: { package: pkg }, ...slow })),
  printing: () => body(api.GET('/api/v1/admin/printers')) as unknown as Promise<Printing>,
  decidePrint: (key: string, act: 'mark_printed' | 'reprint' | 'cancel') => body(api.POST('/api/v1/admin/printers/decide', { body: { key, act } })),
  testPage: (printer: string) => body(api.POST('/api/v1/admin/printers/test', { body: { printer } })),
  // The appliance asks every address of its networks.
  findPrinters: () => body(api.POST('/api/v1/admin/printers/find', { ...slow })) as unknown as Promise<FoundPrinter[]>,
  templates: () => body(api.GET('/api/v1/admin/print/templates')) as unknown as Promise<PrintTemplate[]>,
  saveTemplate: (kind: string, version: number, template?: PrintLayout) => body(api.PUT('/api/v1/admin/print/templates/{kind}', { params: { path: { kind } }, body: { version, template: template as never } })) as unknown as Promise<PrintTemplate>,
  previewTemplate: (kind: string, template: PrintLayout, paper: PrintPaper) => body(api.POST('/api/v1/admin/print/templates/{kind}/preview', { params: { path: { kind } }, body: { template: template as never, ...paper } })),
  manual: () => body(api.GET('/api/v1/admin/manual')),
  retry: (id: string) => body(api.POST('/api/v1/admin/manual/{id}/retry', one(id))),
  settle: (id: string, note: string, outcome?: Outcome) => body(api.POST('/api/v1/admin/manual/{id}/settle', { ...one(id), body: { note, outcome } })),
  retryByHand: (id: string) => body(api.POST('/api/v1/admin/prescriptions/{id}/by-hand/retry', one(id))),
  settleByHand: (id: string, found: { note: string; payment?: 'taken' | 'not_taken'; his_order_number?: string }) => body(api.POST('/api/v1/admin/prescriptions/{id}/by-hand/settle', { ...one(id), body: found })),
  byHand: () => body(api.GET('/api/v1/admin/prescriptions/by-hand')),
  payments: (query: { q: string; state: string; from: string; to: string }, page: number, size: number) => body(api.GET('/api/v1/admin/payments', { params: { query: { ...query, page, size } } })),
  recorders: () => body(api.GET('/api/v1/admin/recorders')) as Promise<Recorder[]>,
  recordersCsvUrl: () => path('/admin/recorders.csv'),
  recorder: (serial: string) => body(api.GET('/api/v1/admin/recorders/{serial}', { params: { path: { serial } } })) as Promise<RecorderDetail>,
  // Takes a recorder in, or changes model and remark of a known one.
  saveRecorder: (recorder: NewRecorder) => body(api.POST('/api/v1/admin/recorders', { body: recorder })) as Promise<Recorder>,
  actRecorder: (serial: string, act: RecorderAct) => body(api.POST('/api/v1/admin/recorders/{serial}/acts', { params: { path: { serial } }, body: act })) as Promise<Recorder>,
  dockings: (serial: string, page: number, size: number) => body(api.GET('/api/v1/admin/dockings', { params: { query: { serial, page, size } } })) as Promise<Paged<Docking>>,
  footage: (search: FootageSearch, page: number, size: number) => body(api.GET('/api/v1/admin/footage', { params: { query: { ...search, page, size } } })) as Promise<Paged<Clip>>,
  clip: (id: string) => body(api.GET('/api/v1/admin/footage/{id}', one(id))) as Promise<ClipDetail>,
  // Every byte is read again: as long as an upload may take.
  verifyClip: (id: string) => body(api.POST('/api/v1/admin/footage/{id}/verification', { ...one(id), ...slow })) as Promise<ClipDetail>,
  clipUrl: (id: string) => path(`/admin/footage/${seg(id)}/content`),
  originalUrl: (id: string, reason: string) => path(`/admin/footage/${seg(id)}/original`, { reason }),
  // What is made of a recording besides the original: absent on a server that makes nothing of it.
  media: (id: string) => body(api.GET('/api/v1/admin/footage/{id}/media', one(id))),
  makeMedia: (id: string) => body(api.POST('/api/v1/admin/footage/{id}/media', one(id))),
  makeProxy: (id: string) => body(api.POST('/api/v1/admin/footage/{id}/proxy', one(id))),
  exportClip: (id: string, wish: NewExport) => body(api.POST('/api/v1/admin/footage/{id}/exports', { ...one(id), body: wish })),
  cancelMedia: (id: string, object: string) => body(api.DELETE('/api/v1/admin/footage/{id}/media/{object}', { params: { path: { id, object } } })),
  // By the order's number, as custody entries name it.
  track: (order: string) => body(api.GET('/api/v1/admin/nursing/orders/{id}/track', one(order))),
  mediaUrl: (id: string, what: string, object?: string | null) => path(`/admin/footage/${seg(id)}/${what}`, { object }),
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

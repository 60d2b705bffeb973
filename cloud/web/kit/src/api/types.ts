/* Shapes of the API as the apps use them. */
export interface Page<T> { items: T[]; total: number; page: number; size: number }
export interface Hospital { code: string; name: string }
export interface Account { id: string; phone_masked: string }
export type Role = 'doctor' | 'pharmacist' | 'admin' | string
export interface Staff { id: string; name: string; roles: Role[]; title?: string | null; department_name?: string | null }
export interface Me { kind: 'patient' | 'staff'; account?: Account | null; staff?: Staff | null; hospital: Hospital }
export interface DeviceSession { id: string; current: boolean; device: string; created_at: string; seen_at: string }

export type Relation = 'self' | 'spouse' | 'child' | 'parent' | 'other'
export interface Guardian { name: string; id_number: string }
export interface NewPatient { name: string; id_number: string; phone: string; relation: Relation; guardian?: Guardian }
export interface Patient {
  id: string; name_masked: string; id_number_masked: string; phone_masked: string; relation: Relation; sex: string; birth_date: string; age: string
  has_guardian: boolean; his_state: 'matched' | 'created' | 'pending' | 'refused'; his_message?: string | null
}
export interface Department { code: string; name: string; description?: string; location?: string }
export interface Doctor { code: string; name: string; title: string; skill?: string; introduction?: string }
export interface Slot {
  work_id: string; doctor_code: string; doctor_name: string; doctor_title: string; department_code: string; date: string
  period: string; begin: string; end: string; left: number; total: number; fee_fen: number; stopped: boolean
}
export interface Diagnosis { code: string; name: string; main?: boolean }
export interface PastVisit { visit_number: string; date: string; department_code: string; department_name: string; doctor_name: string; diagnoses: Diagnosis[] }
export interface Eligibility { eligible: boolean; reason: string; within_days: number; last_visit?: { date: string; department_name: string; doctor_name: string; diagnoses: string[] } | null }
export interface Consent { id: string; version: number; title: string; text: string }
export interface Upload { id: string; mime: string; size: number }

export interface Statement { complaint: string; duration: string; history: string; allergies: string; medications: string }
export type Purpose = 'follow_up' | 'renew_prescription'
export interface SlotRef { work_id: string; date: string; begin: string; end: string }
export interface NewVisit {
  key: string; patient_id: string; purpose: Purpose; department_code: string; doctor_code: string; slot: SlotRef
  consent: { id: string; version: number }; statement: Statement; photo_ids: string[]
}
export interface PersonOfVisit { id: string; name_masked: string; name?: string; phone?: string; id_number_masked: string; sex: string; birth_date: string; age: string; his_patient_id?: string }
export interface RxLink { id: string; state: string; state_text: string }
export interface Rating { attitude: number; professional: number; speed: number; comment: string }
export interface Visit {
  id: string; state: string; state_text: string; ended_as?: string | null; purpose: Purpose; patient: PersonOfVisit; department_code: string; department_name: string
  doctor: { code: string; name: string; title: string }; slot: SlotRef & { period: string }; fee_fen: number
  statement: Statement; photos: string[]; lock_expires_at?: string | null; check_in_from?: string | null; serial_number?: string | null
  payment?: { id: string; state: string; state_text: string; amount_fen: number; refund_state?: string | null } | null
  queue_position?: number | null; video?: { state: string } | null; rating?: Rating | null
  prescriptions: RxLink[]; allowed: string[]; created_at: string; message?: string | null
  last_visit?: unknown; checked_in_at?: string | null; accepted_at?: string | null; finished_at?: string | null
}
export interface PayStart { payment_id: string; pay_url?: string | null; expires_at: string }
export interface Refund { id: string; state: string; state_text: string; amount_fen: number; reason: string; returned_at?: string | null }
export interface Payment { id: string; state: string; state_text: string; amount_fen: number; subject_kind: string; subject_id: string; description: string; channel_number?: string | null; paid_at?: string | null; expires_at: string; created_at: string; refund?: Refund | null }

export interface Message {
  seq: number; id: string; from: 'patient' | 'doctor' | 'system'; kind: 'text' | 'image' | 'voice' | 'system'
  text?: string | null; blob_id?: string | null; duration_s?: number | null; at: string
}
export interface NewMessage { client_id: string; kind: 'text' | 'image' | 'voice'; text?: string; blob_id?: string; duration_s?: number }
export interface VideoState { state: string; recordings: { id?: string; blob_id?: string; role?: string; participant?: string; started_at?: string; duration_s?: number; url?: string }[] }
export interface IceServer { urls: string | string[]; username?: string; credential?: string }

export interface WesternItem { drug_code: string; dose: string; dose_unit: string; route_code: string; frequency_code: string; days: number; quantity: number; quantity_unit: string; note: string }
export interface HerbalItem { drug_code: string; dose_g: number; note: string }
export interface HerbalPart { doses: number; decoction: boolean; usage: string }
export interface NewPrescription { kind: 'western' | 'herbal'; items: (WesternItem | HerbalItem)[]; herbal?: HerbalPart }
export interface RxItem {
  drug_code: string; name: string; specification: string; dose: string; dose_unit: string; route_code: string; route_name: string
  frequency_code: string; frequency_name: string; days: number; quantity: number; quantity_unit: string; price_fen: number; amount_fen: number; note: string
}
export interface Person { id?: string; code?: string; name: string; title?: string }
export interface Rejection { reasons: string[]; comment: string; by: string; at: string }
export interface TrailStep { state: string; state_text: string; at: string; by: string; note: string }
export interface Address { name: string; phone: string; region: string; detail: string }
export interface FulfilmentChoice { kind: 'pickup' | 'delivery'; address?: Address }
export interface Fulfilment { kind: string; address?: Address | null; collect_at?: string | null; courier?: string | null; waybill?: string | null }
export interface Hint { rule: string; severity: string; text: string; items: number[] }
export interface Prescription {
  id: string; number: string; revision: number; revises?: string | null; visit_id: string; patient_name_masked: string; state: string; state_text: string
  kind: 'western' | 'herbal'; items: RxItem[]; herbal?: HerbalPart | null; diagnoses: Diagnosis[]; total_fen: number; bill_fen?: number | null
  department_name: string; doctor: Person; pharmacist?: Person | null; rejections: Rejection[]; appeal?: string | null; fulfilment?: Fulfilment | null
  payment?: { id: string; state: string; state_text: string; amount_fen: number } | null; pickup_code?: string | null; verify_code?: string | null
  has_pdf: boolean; trail: TrailStep[]; allowed: string[]; needs_hand?: string | null; valid_until?: string | null; written_at: string; created_at: string
}
/** A prescription with what a pharmacist needs to judge it. */
export interface ReviewCase extends Prescription {
  patient_name: string; sex: string; age: string; allergies: string; chief_complaint: string; medications: string; hints: Hint[]
}
export interface SavedRecord extends Record_ { version: number; saved_at?: string | null; editable: boolean; signed: boolean }
export interface Record_ {
  chief_complaint: string; present_history: string; past_history: string; allergies: string; examination: string
  diagnoses: Diagnosis[]; advice: string
}
export interface DiagnosisTerm { code: string; name: string; pinyin?: string }
export interface Term { code: string; name: string }
export interface Frequency extends Term { times: number; per_days: number }
export interface Drug {
  code: string; name: string; pinyin?: string; specification: string; dose_per_min_unit: string; dose_unit: string; min_unit: string
  pack_unit: string; pack_size: number; price_fen: number; manufacturer?: string; default_route_code?: string | null
  default_frequency_code?: string | null; max_single_dose?: string | null; control: string; barred_online: boolean
}
export interface Herb { code: string; name: string; pinyin?: string; price_fen_per_g: number; max_dose_g?: number | null; toxic: boolean }
export interface PastPrescription { number: string; date: string; department_name: string; doctor_name: string; items: { name: string; specification: string; usage: string; quantity: string }[] }
export interface LabReport { report_number: string; name: string; reported_at: string; department_name: string; items: { name: string; result: string; unit: string; reference: string; flag: string }[] }
export interface ExamReport { report_number: string; name: string; part: string; reported_at: string; department_name: string; findings: string; opinion: string; image_digest?: string | null }
export interface Signature { enrolled: boolean; certificate_serial?: string | null; not_after?: string | null; locked?: boolean | null; tries_left?: number | null; picture_id?: string | null }

export interface VisitStep { at: string; by: string; by_text: string; event: string; from: string; to: string; to_text: string; note: string }
export interface PaymentDetail extends Payment { history: unknown[] }
export interface HisOrder { key: string; method: string; ordered_at: string; settled_at?: string | null; outcome?: string | null }
export interface AdminVisit extends Visit { his_order_number?: string | null; his: string; trail: VisitStep[]; payments: PaymentDetail[]; commands: HisOrder[] }
export interface Appliance {
  id: string; serial: string; state: string; link: string; last_seen?: string | null; buffer_depth: number; downward_depth: number; rtt_ms?: number | null
  tpm: string; signd: string; printers: { id: string; name: string; state: string; waiting: number }[]; his: { endpoint: string; state: string }[]
  commands_open: number; version: string; disk_free_bytes: number; certificate_not_after?: string | null
}
export interface ManualItem { id: string; kind: string; visit_id: string; text: string; amount_fen: number; slot_date?: string | null; since: string; allowed: string[] }
export interface AuditRow { seq: number; at: string; actor: string; action: string; subject: string; detail: unknown; hash: string }
export type Settings = Record<string, Record<string, unknown>>
export interface Verification {
  valid: boolean; reason?: string | null
  document: { hospital: string; number: string; department: string; patient_name_masked: string; written_at: string; valid_until: string; state_text: string; items: { name: string; specification: string; quantity: string; usage: string }[] }
  signatures: { role: string; name: string; certificate_serial: string; signed_at: string; valid: boolean; reason?: string | null }[]
  file_is_issued?: boolean | null; file_seal?: string | null
}

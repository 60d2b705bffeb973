// Names the apps use for the server's shapes. Written by hand is only what the description leaves open.
import type { components, operations } from './schema'

type Shape = components['schemas']
type Query<T extends keyof operations> = operations[T] extends { parameters: { query: infer Q } } ? Q : never

export type Hospital = Shape['HospitalName']
export type Me = Omit<Shape['Me'], 'kind'> & { kind: 'patient' | 'staff' }
export type DeviceSession = Shape['SessionView']
export type Patient = Shape['PatientView']
export type PatientCode = Shape['CodeView']
export type NewPatient = Shape['Entry']
export type Relation = Shape['Relation']
export type Department = Shape['DepartmentView']
export type Doctor = Shape['DoctorView']
export type Slot = Shape['SlotView']
export type Eligibility = Shape['Eligibility']
export type Consent = Shape['ConsentView']
export type Upload = Shape['Uploaded']
export type Statement = Required<Shape['Statement']>
export type NewVisit = Shape['NewVisit']
/** A page of a list. */
export interface Paged<T> { items: T[]; total: number; page: number; size: number }
export type Purpose = 'follow_up' | 'renew_prescription'
export type Visit = Omit<Shape['VisitView'], 'statement'> & { statement: Statement }
export type Rating = Required<Shape['Rating']>
export type PayStart = Pick<Shape['PayPage'], 'payment_id' | 'pay_url'>
export type Payment = Shape['PaymentView']
export type Message = Shape['Message']
export type NewMessage = Shape['MessageDraft']
export type Group = Query<'get_doctor_visits'>['group']
export type Record_ = Required<Shape['Record']>
export type SavedRecord = Shape['RecordView'] & Record_
export type DiagnosisTerm = Shape['DiagnosisTerm']
export type Term = Shape['Term']
export type Frequency = Shape['Frequency']
export type Drug = Shape['Drug']
export type Herb = Shape['Herb']
export type NewPrescription = Shape['Draft']
export type WesternItem = Shape['DraftLine']
export type HerbalPart = Required<Shape['HerbalWish']>
export type HerbalWritten = Shape['Herbal']
export type Decoction = Shape['Decoction']
export type RxItem = Shape['Line']
export type Prescription = Shape['PrescriptionView']
export type ReviewCase = Shape['CaseView']
export type Ending = Shape['EndingView']
export type EndOfService = Shape['EndOfService']
export type RecordReview = Shape['RecordReviewBrief']
export type Consilium = Shape['ConsiliumView']
export type ConsiliumDoctor = Shape['ConsiliumDoctor']
export type NewConsilium = Shape['ConsiliumWish']
export type ConsiliumMaterials = Shape['Materials']
export type ProblemClass = Shape['ProblemClass']
export type FulfilmentChoice = Shape['Fulfilment']
export type ServiceOrder = Shape['OrderView']
export type NewOrder = Shape['OrderDraft']
export type Orderable = Shape['Orderable']
export type TrailStep = Shape['StepView']
export type Signature = Shape['SignatureView']
export type AdminVisit = Shape['VisitDetail']
export type HisOrder = Shape['Order']
export type Appliance = Omit<Shape['ApplianceView'], 'printers' | 'his' | 'dock' | 'docking'> & { printers: { id: string; name: string; state: string; waiting: number }[]; his: { endpoint: string; state: string }[]; dock?: { state: string; bays: boolean[]; details?: { serial: string; charge: string; locked: boolean; fault: string }[]; firmware?: string; warnings?: string[] } | null; docking?: { recorders: { serial: string; place: string; state: string; clips: number; through: number }[]; waiting_clips: number; waiting_bytes: number; taken_percent: number; warnings: string[] } | null }
export interface FootageGap { from: string; to: string }
export type Docking = Omit<Shape['DockingView'], 'gaps'> & { gaps: FootageGap[] }
export type Recorder = Omit<Shape['RecorderView'], 'docking'> & { docking?: Docking | null }
export type RecorderDetail = Recorder & { issues: Shape['IssueView'][] }
export type NewRecorder = Shape['NewRecorder']
export type RecorderAct = Shape['Act']
export type Clip = Shape['ClipView']
export type ChainEntry = Shape['ChainEntry']
/** A custody entry as it was signed (`records::footage::CustodyEntry`). */
export interface CustodyEntry {
  appliance: string; sequence: number; previous: string; docking: string; recorder: string; model: string; file: string; size: number; sm3: string; sha256: string
  container: string; condition: string; recorded_at?: string | null; duration_ms?: number | null; clock_offset_ms?: number | null; docked_at: string; copied_at: string
  issue?: { id: string; holder: string; holder_name: string; order: string; issued_at: string } | null
}
export type ClipDetail = Clip & Omit<Shape['ClipDetail'], 'entry' | 'docked'> & { entry: CustodyEntry | null; docked: { docking?: Docking | null; clips: Clip[] } }
/** Something made of a recording: pictures, a playable stream, a preview, an export. */
export type DerivedMedia = Shape['DerivedMedia']
/** Key frames in one picture. */
export type MediaStrip = Shape['MediaStrip']
/** What is there of a recording besides the original. */
export type ClipMedia = Shape['ClipMedia']
/** A part of a recording that is to be exported. */
export type NewExport = Shape['NewExport']
// Nursing at home.
export type NursingOrder = Shape['NursingOrder']
export type NursingOrderDetail = Shape['NursingOrderDetail']
export type NursingOrderForm = Shape['NursingOrderForm']
export type NursingAlarm = Shape['AlarmView']
export type AlarmPress = Shape['AlarmPress']
export type TrackPosition = Shape['TrackPosition']
export type NursingForm = Shape['FormDraft']
export type FormQuestion = Shape['FormQuestion']
export type FilledForm = Omit<Shape['FilledForm'], 'answers'> & { answers: Record<string, unknown> }
export type HomeVisit = Shape['HomeVisit']
export type HomeVisitDetail = Omit<Shape['HomeVisitDetail'], 'form'> & { form?: FilledForm | null }
export type ManualItem = Shape['ManualItem']
export type AuditRow = Shape['Row']
export type Settings = Record<string, Record<string, unknown>>
export type StaffMember = Shape['StaffRow']
export type StaffForm = Shape['StaffForm']
export type Enrolled = Shape['Enrolled']
export type Verification = Shape['Verified']
export type Role = Shape['Role']

export interface VideoState { state: string; state_text: string; note: string; recordings: { id: string; blob_id: string; role: string; started_at: string; duration_s: number; keep_until: string }[] }
export interface IceServer { urls: string | string[]; username?: string; credential?: string }

// The HIS's shapes, passed through by the server as the canonical operations define them.
export interface Diagnosis { code: string; name: string; main?: boolean }
export interface PastVisit { visit_number: string; date: string; department_code: string; department_name: string; doctor_name: string; diagnoses: Diagnosis[] }
export interface PastPrescription { number: string; date: string; department_name: string; doctor_name: string; items: { drug_code: string; name: string; specification: string; usage: string; quantity: string }[] }
export interface LabReport { report_number: string; name: string; reported_at: string; department_name: string; items: { name: string; result: string; unit: string; reference: string; flag: string }[] }
export interface ExamReport { report_number: string; name: string; part: string; reported_at: string; department_name: string; findings: string; opinion: string; has_picture: boolean }

/** How a kind of printed document looks. */
export type PrintTemplate = Omit<Shape['TemplateView'], 'template'> & { template: PrintLayout }
/** A piece of a printed page; sizes in points, lengths in millimetres. */
export type PrintElement =
  | { type: 'text'; text: string; size_pt: number; weight?: 'normal' | 'bold'; align?: 'left' | 'centre' | 'right'; fit?: 'wrap' | 'shrink' }
  | { type: 'pair'; left: string; right: string; size_pt: number; weight?: 'normal' | 'bold' }
  | { type: 'fields'; only?: string[]; size_pt: number }
  | { type: 'items'; size_pt: number; notes: boolean }
  | { type: 'footer'; size_pt: number }
  | { type: 'qr'; content: string; side_mm: number; caption: boolean }
  | { type: 'barcode'; content: string; height_mm: number; caption: boolean }
  | { type: 'rule'; dashed?: boolean }
  | { type: 'space'; height_mm: number }
  | { type: 'image'; png: string; width_mm: number; align?: 'left' | 'centre' | 'right' }
export interface PrintLayout { elements: PrintElement[] }
/** Paper of a preview. */
export interface PrintPaper { width: number; dpi: number; label_mm?: number; reprint: boolean }
export type PrintJob = Shape['PrintJobView']
export interface QueuePrinter { id: string; name: string; state: string; language: string; address: string; width: number; dpi: number; height?: number | null; stand_in?: string | null; waiting: number; unknown: number }
/** What stands at the printers, as the appliance tells it. */
export interface Printing { printers: QueuePrinter[]; jobs: PrintJob[]; templates: { kind: string; version: number; refused?: string | null }[] }
export interface FoundPrinter { address: string; language?: string | null; state: string; known_as?: string | null }

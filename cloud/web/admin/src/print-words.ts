import type { PrintElement, PrintPaper } from '@yiqiao/kit/api/types'

/** Pieces of a printed page, in words. */
export const ELEMENTS: Record<PrintElement['type'], string> = {
  text: '文字', pair: '左右两端', fields: '字段列表', items: '明细表', footer: '页脚说明', qr: '二维码', barcode: '条形码', rule: '分隔线', space: '空白', image: '图片',
}
/** A new piece of each sort. */
export function fresh(type: PrintElement['type']): PrintElement {
  switch (type) {
    case 'text': return { type, text: '{标题}', size_pt: 10, weight: 'normal', align: 'left', fit: 'wrap' }
    case 'pair': return { type, left: '合计', right: '{合计}', size_pt: 10, weight: 'normal' }
    case 'fields': return { type, only: [], size_pt: 10 }
    case 'items': return { type, size_pt: 10, notes: true }
    case 'footer': return { type, size_pt: 8 }
    case 'qr': return { type, content: '{码}', side_mm: 25, caption: true }
    case 'barcode': return { type, content: '{码}', height_mm: 12, caption: true }
    case 'rule': return { type, dashed: false }
    case 'space': return { type, height_mm: 3 }
    case 'image': return { type, png: '', width_mm: 30, align: 'centre' }
  }
}
/** Papers a preview can be drawn on. */
export const PAPERS: Record<string, { name: string; paper: Omit<PrintPaper, 'reprint'> }> = {
  roll80: { name: '80 mm 卷纸 · 203 dpi', paper: { width: 576, dpi: 203 } },
  roll58: { name: '58 mm 卷纸 · 203 dpi', paper: { width: 384, dpi: 203 } },
  roll108: { name: '108 mm 卷纸 · 203 dpi', paper: { width: 864, dpi: 203 } },
  fine108: { name: '108 mm 卷纸 · 300 dpi', paper: { width: 1280, dpi: 300 } },
  label80: { name: '80×50 mm 标签 · 203 dpi', paper: { width: 576, dpi: 203, label_mm: 50 } },
  band: { name: '58×30 mm 标签 · 203 dpi', paper: { width: 384, dpi: 203, label_mm: 30 } },
}
/** One line that tells what a piece says. */
export function gist(e: PrintElement): string {
  switch (e.type) {
    case 'text': return e.text
    case 'pair': return `${e.left} … ${e.right}`
    case 'fields': return e.only?.length ? e.only.join('、') : '全部字段'
    case 'items': return e.notes ? '名称、数量、金额和备注' : '名称、数量、金额'
    case 'footer': return '由业务给出'
    case 'qr': case 'barcode': return e.content
    case 'rule': return e.dashed ? '虚线' : '实线'
    case 'space': return `${e.height_mm} 毫米`
    case 'image': return e.png ? `宽 ${e.width_mm} 毫米` : '还没有选择图片'
  }
}
const STATES: Record<string, readonly ['good' | 'warn' | 'bad' | 'quiet', string]> = {
  waiting: ['quiet', '排队'], printing: ['good', '打印中'], printed: ['good', '已打印'], unknown: ['bad', '不确定，请核对纸张'], failed: ['quiet', '已取消'],
}
/** Colour and words of a print job's state. */
export const jobState = (state: string) => STATES[state] ?? (['quiet', state] as const)

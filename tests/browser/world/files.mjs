// Files as other people's tools see them: QR codes, PDF signatures, text of a PDF.
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

async function withFile(name, bytes, use) {
  const folder = await mkdtemp(join(tmpdir(), 'yiqiao-file-'))
  try {
    const path = join(folder, name)
    await writeFile(path, bytes)
    return await use(path, folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The symbols of our papers and pages; others are also seen in lines of text. */
const SYMBOLS = ['-Sdisable', '-Scode128.enable', '-Sqrcode.enable']

/** The codes a scanner reads off a picture; none is an answer. */
export function scan(png) {
  return withFile('slip.png', png, async (path) => {
    try {
      return (await run('zbarimg', ['--quiet', '--raw', ...SYMBOLS, path])).stdout.trim().split('\n')
    } catch (error) {
      if (error.code === 4) return []
      throw error
    }
  })
}

/** What `pdfsig` says about the seals of a PDF. */
export function seals(pdf) {
  return withFile('paper.pdf', pdf, async (path) => (await run('pdfsig', ['-nocert', path]).catch((error) => error)).stdout)
}

/** The text of a PDF. */
export function words(pdf) {
  return withFile('paper.pdf', pdf, async (path) => (await run('pdftotext', ['-layout', path, '-'])).stdout)
}

/** How many pictures it carries. */
export function pictures(pdf) {
  return withFile('paper.pdf', pdf, async (path) => (await run('pdfimages', ['-list', path])).stdout.trim().split('\n').length - 2)
}

/** Its first page as a picture. */
export function page(pdf, dpi = 80) {
  return withFile('paper.pdf', pdf, async (path, folder) => {
    const { readFile } = await import('node:fs/promises')
    await run('pdftoppm', ['-png', '-r', String(dpi), '-singlefile', path, join(folder, 'page')])
    return readFile(join(folder, 'page.png'))
  })
}

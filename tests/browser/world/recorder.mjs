// A nurse's work recorder: a folder that appears on the shelf when it is plugged, with real videos made by FFmpeg.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { PATIENCE_MS, until } from './bench.mjs'

const run = promisify(execFile)
const HOSPITAL_MS = 8 * 3600_000
const digits = (ms) => new Date(ms + HOSPITAL_MS).toISOString().slice(0, 19).replace('T', ' ')

/** What FFmpeg says of a film: seconds, pictures, and of a moment a grey picture of 320x180. */
export async function look(bytes, atSeconds) {
  const folder = await mkdtemp(join(tmpdir(), 'yiqiao-look-'))
  const path = join(folder, 'film.mp4')
  try {
    await writeFile(path, bytes)
    const { stdout } = await run('ffprobe', ['-v', 'error', '-count_packets', '-select_streams', 'v:0', '-show_entries', 'stream=nb_read_packets:format=duration', '-of', 'json', path])
    const told = JSON.parse(stdout)
    const grey = await run('ffmpeg', ['-v', 'error', '-ss', String(atSeconds), '-i', path, '-frames:v', '1', '-vf', 'scale=320:180', '-pix_fmt', 'gray', '-f', 'rawvideo', '-'], { encoding: 'buffer' })
    return { seconds: Number(told.format.duration), pictures: Number(told.streams[0].nb_read_packets), grey: grey.stdout }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** A film of a moving test picture. */
export async function film({ seconds, codec = 'libx264', beganAt, fast = true }) {
  const folder = await mkdtemp(join(tmpdir(), 'yiqiao-film-'))
  const path = join(folder, 'film.mp4')
  try {
    const coding = codec === 'libx265' ? ['-tag:v', 'hvc1', '-x265-params', 'log-level=none'] : ['-g', '25']
    await run('ffmpeg', [
      '-loglevel', 'error', '-f', 'lavfi', '-i', `testsrc2=size=640x360:rate=25:duration=${seconds}`, '-c:v', codec, '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', ...coding,
      '-metadata', `creation_time=${new Date(beganAt).toISOString()}`, ...(fast ? ['-movflags', '+faststart'] : []), path,
    ])
    return await readFile(path)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

export class Recorder {
  #plugged
  #plugs = 0
  #files = 0

  /** `ahead` milliseconds is its own clock. */
  constructor(data, serial, ahead = 0) {
    this.shelf = join(data, 'bench/recorders')
    this.serial = serial
    this.ahead = ahead
    this.taken = new Map()
  }

  get storage() {
    return this.#plugged ?? join(this.shelf, `.out-${this.serial}`)
  }

  /** Records a file that began then by the hospital's time. */
  async records(beganAt, content) {
    await mkdir(join(this.storage, 'DCIM'), { recursive: true })
    this.#files += 1
    const name = `${this.serial}_000123_${digits(beganAt + this.ahead).replaceAll(/\D/g, '')}_${String(this.#files).padStart(4, '0')}.mp4`
    await writeFile(join(this.storage, 'DCIM', name), content)
    this.taken.set(name, createHash('sha256').update(content).digest('hex'))
    return name
  }

  async plugs() {
    await mkdir(join(this.storage, 'DCIM'), { recursive: true })
    await writeFile(join(this.storage, 'DEVICE.INF'), `serial=${this.serial}\nmodel=BENCH-R1\nbattery=73%\ntime=${digits(Date.now() + this.ahead)}\n`)
    this.#plugs += 1
    const to = join(this.shelf, `${this.serial}-${this.#plugs}`)
    await rename(this.storage, to)
    this.#plugged = to
  }

  async pulled() {
    const from = this.#plugged
    this.#plugged = undefined
    await rename(from, join(this.shelf, `.out-${this.serial}`))
  }

  holds(name) {
    return existsSync(join(this.storage, 'DCIM', name))
  }
}

/** Waits for the stay of a recorder in the dock that began last, and for none that was waited for before; `asked` reads what the cloud's admin may. */
export function stays(serial, asked) {
  let last
  return (...states) => until(`${serial} ${states}`, async () => {
    const [newest] = (await asked(`dockings?serial=${serial}&size=1`)).items
    if (!newest || newest.arrived_at === last || !states.includes(newest.state)) return false
    last = newest.arrived_at
    return true
  }, 3 * PATIENCE_MS)
}

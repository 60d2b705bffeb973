// Photos are made small enough to send and judged before they are sent, so that no doctor meets one that cannot be read.

/** A photo ready to be sent. */
export interface Photo {
  blob: Blob
  width: number
  height: number
  /** What may make it hard to read, in words. */
  doubt?: string
}

const EDGE = 1600
const ENOUGH = 900_000

/** Figures of a grey picture: mean brightness and variance of the Laplacian (sharpness). */
export function judge(grey: Uint8ClampedArray | number[], width: number, height: number): { brightness: number; sharpness: number } {
  let total = 0
  for (const value of grey) total += value
  let sum = 0
  let squares = 0
  let count = 0
  for (let y = 1; y < height - 1; y += 1)
    for (let x = 1; x < width - 1; x += 1) {
      const at = y * width + x
      const l = (grey[at - 1] ?? 0) + (grey[at + 1] ?? 0) + (grey[at - width] ?? 0) + (grey[at + width] ?? 0) - 4 * (grey[at] ?? 0)
      sum += l
      squares += l * l
      count += 1
    }
  const mean = count ? sum / count : 0
  return { brightness: grey.length ? total / grey.length : 0, sharpness: count ? squares / count - mean * mean : 0 }
}

/** What is doubtful about a photo of this size and these figures. */
export function doubtOf(width: number, height: number, figures: { brightness: number; sharpness: number }): string | undefined {
  if (Math.min(width, height) < 300) return '照片太小，可能看不清'
  if (figures.brightness < 45) return '照片偏暗，可能看不清'
  if (figures.brightness > 245) return '照片过亮，可能看不清'
  if (figures.sharpness < 40) return '照片可能模糊'
  return undefined
}

function draw(picture: ImageBitmap, width: number, height: number): CanvasRenderingContext2D {
  const canvas = document.createElement('canvas')
  canvas.width = width
  canvas.height = height
  const context = canvas.getContext('2d', { willReadFrequently: true })
  if (!context) throw new Error('浏览器无法处理照片，请换用新版浏览器')
  context.fillStyle = '#fff'
  context.fillRect(0, 0, width, height)
  context.drawImage(picture, 0, 0, width, height)
  return context
}

function jpeg(canvas: HTMLCanvasElement, quality: number): Promise<Blob> {
  return new Promise((resolve, reject) => canvas.toBlob((b) => (b ? resolve(b) : reject(new Error('照片压缩失败，请换一张'))), 'image/jpeg', quality))
}

/** Turn, shrink, compress and judge a chosen file. Location and device data of the original do not survive. */
export async function preparePhoto(file: Blob): Promise<Photo> {
  const picture = await createImageBitmap(file, { imageOrientation: 'from-image' }).catch(() => undefined)
  if (!picture) throw new Error('无法读取这张照片，请选择 JPG 或 PNG 图片')
  const scale = Math.min(1, EDGE / Math.max(picture.width, picture.height))
  const width = Math.max(1, Math.round(picture.width * scale))
  const height = Math.max(1, Math.round(picture.height * scale))
  const full = draw(picture, width, height)
  const small = Math.min(1, 320 / Math.max(width, height))
  const sw = Math.max(3, Math.round(width * small))
  const sh = Math.max(3, Math.round(height * small))
  const data = draw(picture, sw, sh).getImageData(0, 0, sw, sh).data
  picture.close()
  const grey = new Uint8ClampedArray(sw * sh)
  for (let i = 0; i < grey.length; i += 1) grey[i] = 0.299 * (data[i * 4] ?? 0) + 0.587 * (data[i * 4 + 1] ?? 0) + 0.114 * (data[i * 4 + 2] ?? 0)
  let blob = await jpeg(full.canvas, 0.85)
  for (const quality of [0.75, 0.65, 0.5]) {
    if (blob.size <= ENOUGH) break
    blob = await jpeg(full.canvas, quality)
  }
  return { blob, width, height, doubt: doubtOf(width, height, judge(grey, sw, sh)) }
}

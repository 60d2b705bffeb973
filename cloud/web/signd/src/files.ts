// Files from and to the person's computer.

/** A certificate file is small; what is larger was taken by mistake. */
export const CERTIFICATE_MOST = 1024 * 1024
/** A request carries at most 96 MiB, and Base64 is a third longer. */
export const BACKUP_MOST = 64 * 1024 * 1024

/** Bytes as Base64. */
export function base64(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000))
  return btoa(text)
}

/** A file's content as Base64; one that is too large or empty is named. */
export async function content(file: File, most: number): Promise<string> {
  if (file.size > most) throw new Error(`文件“${file.name}”太大（${size(file.size)}），最大 ${size(most)}，请确认是否选对了文件`)
  if (file.size === 0) throw new Error(`文件“${file.name}”是空的，请确认是否选对了文件`)
  let bytes: ArrayBuffer
  try {
    bytes = await file.arrayBuffer()
  } catch {
    throw new Error(`文件“${file.name}”无法读取，可能已被移动或没有权限`)
  }
  return base64(new Uint8Array(bytes))
}

/** `12 B`, `3.4 KB`, `1.2 MB`. */
export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(1)} KB` : `${(bytes / 1024 / 1024).toFixed(1)} MB`
}

/** Puts a file into the person's downloads. */
export function save(name: string, what: Blob | string): void {
  const blob = typeof what === 'string' ? new Blob([what], { type: 'text/plain;charset=utf-8' }) : what
  const link = document.createElement('a')
  link.href = URL.createObjectURL(blob)
  link.download = name
  document.body.append(link)
  link.click()
  link.remove()
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
}

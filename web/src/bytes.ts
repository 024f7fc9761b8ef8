/* Bytes as the API gives them: text, or base64 where they are no UTF-8. */
import type { Bytes, Letter } from "./types";

export function fromBase64(text: string): Uint8Array {
  let binary = "";
  try {
    binary = atob(text);
  } catch {
    return new Uint8Array();
  }
  const out = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) out[i] = binary.charCodeAt(i);
  return out;
}

export function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

export function bytesOf(value: Bytes): Uint8Array {
  return value.encoding === "base64" ? fromBase64(value.text) : new TextEncoder().encode(value.text);
}

const hex = (n: number) => n.toString(16).padStart(2, "0");

export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, hex).join("");
}

/* As hexdump -C writes it. */
export function hexDump(bytes: Uint8Array, most: number): string {
  const lines: string[] = [];
  const end = Math.min(bytes.length, most);
  for (let at = 0; at < end; at += 16) {
    const row = bytes.subarray(at, Math.min(at + 16, end));
    const cells = Array.from(row, hex);
    const left = cells.slice(0, 8).join(" ").padEnd(23);
    const right = cells.slice(8).join(" ").padEnd(23);
    const letters = Array.from(row, (b) => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : ".")).join("");
    lines.push(at.toString(16).padStart(8, "0") + "  " + left + "  " + right + "  |" + letters + "|");
  }
  return lines.join("\n");
}

/* A key as a segment of an address: the bytes, each that is no plain letter as %XX. */
export function keySegment(key: Bytes): string {
  return Array.from(bytesOf(key), (b) =>
    /[A-Za-z0-9_~-]/.test(String.fromCharCode(b)) ? String.fromCharCode(b) : "%" + hex(b).toUpperCase(),
  ).join("");
}

/* What fits into an address, with room for the rest of a request's head. */
export const SEGMENT_MAX = 4000;

/* Whether the key stands there whole, so that it can be asked for. */
export function keyIsWhole(letter: Letter): boolean {
  return letter.key.encoding !== "null" && letter.key.encoding !== "hidden" && !letter.key.cut && letter.key.size >= letter.key_size && letter.key_size > 0;
}

export function keyFilter(key: Bytes): { key?: string; key_hex?: string } {
  return key.encoding === "base64" ? { key_hex: hexOf(bytesOf(key)) } : { key: key.text };
}

/**
 * A build in the server, as its API and its events describe it, and the sentences that people see of it.
 */

/** The events that carry a task; the server's `task-1.json`. */
export const SCHEMA = 'https://nixenv.readthedocs.io/schema/task-1.json';

/** JupyterLab cuts longer notifications off. */
const LENGTH = 140;

export interface ITask {
  id: string;
  path: string;
  kernel_id: string | null;
  state: 'running' | 'done' | 'failed' | 'cancelled';
  message: string;
  seconds: number;
  error: ITaskError | null;
}

export interface ITaskError {
  type: string;
  message: string;
  details: string[];
  hint: string;
}

/** Whether a JSON value has what is used of a task. */
export function isTask(value: unknown): value is ITask {
  const { id, path, state, message } = (value ?? {}) as Record<string, unknown>;
  return [id, path, state, message].every(part => typeof part === 'string');
}

/** `analysis.ipynb: downloading 12 of 60 · 48 MB of 120 MB · 9 MB/s`; many errors name it themselves. */
export function line(name: string, message: string): string {
  if (message.includes(name)) {
    return message;
  }
  const room = LENGTH - message.length - 2;
  return `${shorten(name, Math.max(room, 20))}: ${message}`;
}

/** What failed, and the way out, which is never cut off. */
export function failure(name: string, error: ITaskError): string {
  const hint = error.hint && `\n→ ${error.hint}`;
  const headline = line(name, error.message);
  return shorten(headline, Math.max(LENGTH - hint.length, 60)) + hint;
}

/** All that is known of a failure. */
export function report(error: ITaskError): string {
  const details = (error.details ?? []).map(detail => `  ${detail}`);
  const hint = error.hint ? ['', `hint: ${error.hint}`] : [];
  return [error.message, ...details, ...hint].join('\n');
}

function shorten(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

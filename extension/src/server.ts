/**
 * Requests to nixenv's server extension; the only module that makes any.
 *
 * A server without the extension answers the first one with 404. Nothing is asked after that, and
 * notebooks work as they do without this extension. No request is ever an error of the user's.
 */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type { PartialJSONValue } from '@lumino/coreutils';

import { isTask, type ITask } from './task';

export class Server {
  constructor(private readonly _settings: ServerConnection.ISettings) {}

  /** Say what an open notebook asks for. */
  async putDocument(
    path: string,
    nixenv: PartialJSONValue,
    dirty: boolean
  ): Promise<void> {
    const body = JSON.stringify({ nixenv, dirty });
    const answer = await this._request('PUT', documentUrl(path), { body });
    this._isThere &&= answer?.status !== 404;
  }

  /** Say that a notebook is closed; also said by a page that goes away. */
  async deleteDocument(path: string): Promise<void> {
    await this._request('DELETE', documentUrl(path), { keepalive: true });
  }

  /** The builds that are under way, or just ended. */
  async tasks(): Promise<ITask[]> {
    const answer = await this._request('GET', 'tasks');
    const { tasks } = answer?.ok ? await answer.json() : { tasks: [] };
    return Array.isArray(tasks) ? tasks.filter(isTask) : [];
  }

  /** One build; `unknown` when the server does not answer, or not with a task. */
  async task(id: string): Promise<ITask | 'forgotten' | 'unknown'> {
    const answer = await this._request('GET', taskUrl(id));
    const task: unknown = answer?.ok ? await answer.json() : null;
    return isTask(task) ? task : answer?.status === 404 ? 'forgotten' : 'unknown';
  }

  /** Cancel a build. */
  async cancel(id: string): Promise<void> {
    await this._request('DELETE', taskUrl(id));
  }

  private async _request(
    method: string,
    path: string,
    init: RequestInit = {}
  ): Promise<Response | null> {
    if (!this._isThere) {
      return null;
    }
    const url = URLExt.join(this._settings.baseUrl, 'nixenv/api', path);
    try {
      return await ServerConnection.makeRequest(
        url,
        { ...init, method },
        this._settings
      );
    } catch {
      return null; // The network is gone; JupyterLab itself says so.
    }
  }

  private _isThere = true;
}

function documentUrl(path: string): string {
  return URLExt.join('documents', URLExt.encodeParts(path));
}

function taskUrl(id: string): string {
  return URLExt.join('tasks', encodeURIComponent(id));
}

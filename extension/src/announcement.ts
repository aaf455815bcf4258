/**
 * Keeps the server informed about one open notebook, for the kernels that it starts.
 *
 * The order that holds: JupyterLab has no hook before a kernel starts, so the session context's own
 * methods wait until the server has answered the newest announcement.
 */
import type { ISessionContext } from '@jupyterlab/apputils';
import { PromiseDelegate, type PartialJSONValue } from '@lumino/coreutils';

import { isEqual, NIXENV, type Notebook } from './notebook';
import type { Server } from './server';

/** A kernel starts after so many milliseconds, even if the server has not answered. */
const PATIENCE = 3000;

type Starter = 'initialize' | 'changeKernel' | 'restartKernel';

export class Announcement {
  constructor(
    private readonly _notebook: Notebook,
    private readonly _server: Server
  ) {
    const { context } = _notebook;
    this._path = context.path;
    for (const method of ['initialize', 'changeKernel', 'restartKernel'] as const) {
      delay(context.sessionContext, method, choice => this._beforeStart(choice));
    }
    void context.ready.then(() => {
      this._noteSaved();
      _notebook.changed.connect(() => void this._announce());
      // With jupyter-collaboration it is the server that saves: then only the state tells.
      context.model.stateChanged.connect((_model, change) => {
        if (change.name === 'dirty') {
          this._noteSaved();
        }
      });
      context.fileChanged.connect(() => this._noteSaved());
      context.pathChanged.connect(() => void this._move());
      void this._announce();
    });
    const leave = () => void this._withdraw();
    window.addEventListener('pagehide', leave);
    context.disposed.connect(() => {
      window.removeEventListener('pagehide', leave);
      leave();
    });
  }

  /** Settles when the server knows of the notebook. */
  get first(): Promise<void> {
    return this._first.promise;
  }

  /** A kernel is about to start: it may be another one, and the server another process than before. */
  private async _beforeStart(choice: unknown): Promise<void> {
    this._isOurs ||= (choice as { name?: string } | undefined)?.name === NIXENV;
    this._answered = '';
    await Promise.race([
      this._announce(),
      new Promise(resolve => setTimeout(resolve, PATIENCE))
    ]);
  }

  private _noteSaved(): void {
    const { model } = this._notebook.context;
    if (!model.isDisposed && !model.dirty) {
      this._saved = this._notebook.value;
      void this._announce();
    }
  }

  /** One request after the other, each with what is newest then; settles after the last. */
  private _announce(): Promise<void> {
    this._turn = this._turn.then(() => this._put());
    return this._turn;
  }

  private async _put(): Promise<void> {
    const { context, isOurs, value } = this._notebook;
    if (context.isDisposed || !(isOurs || this._isOurs)) {
      return;
    }
    // Edited cells do not matter: dirty is what the file does not say.
    const isDirty =
      context.model.dirty &&
      !(this._saved !== undefined && isEqual(this._saved, value));
    const said = JSON.stringify([this._path, value, isDirty]);
    if (said !== this._answered) {
      this._isOurs = true;
      this._answered = said;
      await this._server.putDocument(this._path, value, isDirty);
      this._first.resolve();
    }
  }

  private async _move(): Promise<void> {
    await this._withdraw();
    this._path = this._notebook.context.path;
    await this._announce();
  }

  private async _withdraw(): Promise<void> {
    if (this._isOurs) {
      this._answered = '';
      await this._server.deleteDocument(this._path);
    }
  }

  private _path: string;
  private _saved: PartialJSONValue | undefined;
  private _answered = '';
  private _isOurs = false;
  private _turn: Promise<void> = Promise.resolve();
  private readonly _first = new PromiseDelegate<void>();
}

/** Have a method of this one session context wait for a step before it does what it did. */
function delay(
  context: ISessionContext,
  method: Starter,
  step: (choice: unknown) => Promise<void>
): void {
  type Method = (...options: unknown[]) => Promise<unknown>;
  const methods = context as unknown as Record<Starter, Method>;
  const original = methods[method].bind(context);
  methods[method] = async (...options) => {
    await step(options[0]);
    return original(...options);
  };
}

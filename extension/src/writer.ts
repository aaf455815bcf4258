/**
 * The page as the only writer of an open notebook: what the kernel changed goes into the document.
 *
 * A comm tells the kernel what the document says, and brings its changes. A change is taken if the
 * document still says what the kernel started from; otherwise the user decides.
 */
import { Notification } from '@jupyterlab/apputils';
import type { Kernel } from '@jupyterlab/services';
import type { JSONObject, PartialJSONValue } from '@lumino/coreutils';

import { isEqual, NIXENV, type Notebook } from './notebook';

const VERSION = 1;

/** What the kernel has made of the value that it started from. */
interface IChange {
  serial: number;
  base: PartialJSONValue;
  nixenv: PartialJSONValue;
}

export class Writer {
  constructor(private readonly _notebook: Notebook) {
    const { context } = _notebook;
    const { sessionContext } = context;
    sessionContext.kernelChanged.connect(() => {
      if (!this._isOpen) {
        this._open();
      }
    });
    // After a restart or a lost network nobody knows whether the other side still has the comm.
    sessionContext.connectionStatusChanged.connect((_context, status) => {
      if (status === 'connected') {
        this._open();
      }
    });
    context.pathChanged.connect(() => this._open());
    _notebook.changed.connect(() => this._tell());
  }

  private get _isOpen(): boolean {
    const { kernel } = this._notebook.context.sessionContext.session ?? {};
    return !!this._comm && !this._comm.isDisposed && this._kernel === kernel;
  }

  private _open(): void {
    if (this._isOpen) {
      this._comm?.close();
    }
    this._comm = null;
    const { context, value } = this._notebook;
    const kernel = context.sessionContext.session?.kernel;
    if (
      kernel?.name !== NIXENV ||
      kernel.connectionStatus !== 'connected' ||
      !kernel.handleComms // Another view of the same kernel has that.
    ) {
      return;
    }
    const comm = kernel.createComm(NIXENV);
    this._comm = comm;
    this._kernel = kernel;
    this._told = undefined; // Nothing is told until the kernel has the comm.
    comm.onMsg = message => this._receive(comm, message.content.data);
    const opened = comm.open({
      version: VERSION,
      path: context.path,
      nixenv: value
    } as JSONObject);
    opened.done.then(
      () => {
        if (this._comm === comm) {
          this._told = value;
          this._tell();
        }
      },
      () => undefined // The kernel is gone; there will be another.
    );
  }

  /** Tell the kernel what the document says now. */
  private _tell(): void {
    const { value } = this._notebook;
    if (this._told !== undefined && this._isOpen && !isEqual(this._told, value)) {
      this._told = value;
      this._comm?.send({ nixenv: value } as JSONObject);
    }
  }

  private _receive(comm: Kernel.IComm, data: unknown): void {
    const change = data as IChange;
    if (typeof change.serial !== 'number' || change.nixenv === undefined) {
      return;
    }
    const { serial, base = null, nixenv } = change;
    const { value } = this._notebook;
    if (isEqual(value, nixenv) || isEqual(value, base)) {
      this._notebook.value = nixenv;
      comm.send({ applied: serial });
    } else {
      comm.send({ refused: serial });
      this._let(change);
    }
  }

  /** Let the user decide between the kernel's value and the page's. */
  private _let({ serial, nixenv }: IChange): void {
    Notification.warning(
      `${this._notebook.name}: its requirements were edited here while the kernel changed them. Yours are kept.`,
      {
        autoClose: false,
        actions: [
          { label: 'Keep mine', callback: () => undefined },
          {
            label: "Take the kernel's",
            displayType: 'accent',
            callback: () => {
              this._notebook.value = nixenv;
              if (this._isOpen) {
                this._comm?.send({ applied: serial });
              }
            }
          }
        ]
      }
    );
  }

  private _comm: Kernel.IComm | null = null;
  private _kernel: Kernel.IKernelConnection | null = null;
  private _told: PartialJSONValue | undefined;
}

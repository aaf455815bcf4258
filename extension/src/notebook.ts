/**
 * An open notebook: what it says about its environment, and when that changes.
 *
 * The document is the shared model, so a change made here reaches everybody who has it open.
 */
import { PathExt } from '@jupyterlab/coreutils';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { INotebookModel } from '@jupyterlab/notebook';
import { JSONExt, UUID, type PartialJSONValue } from '@lumino/coreutils';
import { Signal, type ISignal } from '@lumino/signaling';

import { UndoSteps } from './undo';

/** The key in a notebook's metadata, and the name of the kernel. */
export const NIXENV = 'nixenv';

export class Notebook {
  constructor(readonly context: DocumentRegistry.IContext<INotebookModel>) {
    this._undo = new UndoSteps(context.model.sharedModel, NIXENV);
    context.model.sharedModel.metadataChanged.connect((_model, change) => {
      if (change.key === NIXENV) {
        this._changed.emit();
      }
    });
    context.disposed.connect(() => Signal.clearData(this));
  }

  /** Of this page only. */
  readonly id = UUID.uuid4();

  /** The file's name, for people. */
  get name(): string {
    return PathExt.basename(this.context.localPath);
  }

  /** The value of `metadata.nixenv`; null when there is none. */
  get value(): PartialJSONValue {
    return this.context.model.sharedModel.getMetadata(NIXENV) ?? null;
  }

  /** Setting it is one step that can be undone, and makes the document dirty. */
  set value(value: PartialJSONValue) {
    const model = this.context.model.sharedModel;
    this._undo.step(() => {
      if (value === null) {
        model.deleteMetadata(NIXENV);
      } else {
        model.setMetadata(NIXENV, value);
      }
    });
  }

  /** Whether the notebook has an environment of ours, or a kernel that makes it one. */
  get isOurs(): boolean {
    const { model, sessionContext } = this.context;
    return (
      this.value !== null ||
      [
        model.defaultKernelName,
        sessionContext.kernelPreference.name,
        sessionContext.session?.kernel?.name
      ].includes(NIXENV)
    );
  }

  /** Emitted at every change of the value, whoever made it. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  private readonly _changed = new Signal<this, void>(this);
  private readonly _undo: UndoSteps;
}

/** Whether two values say the same. */
export function isEqual(a: PartialJSONValue, b: PartialJSONValue): boolean {
  return JSONExt.deepEqual(a, b);
}

/**
 * Undo for one key of a notebook's metadata.
 *
 * A notebook's undo manager watches its cells. With the metadata in its scope, every change of it would
 * be a step, also those that JupyterLab makes by itself when a kernel starts (`language_info`); so
 * transactions that change other keys only are left out.
 */
import type { INotebookModel } from '@jupyterlab/notebook';

/** What is used of `Y.Transaction`. */
interface ITransaction {
  changed: Map<unknown, Set<string | null>>;
}

/** What is used of `Y.UndoManager`. */
interface IUndoManager {
  addToScope(type: unknown): void;
  captureTransaction?: (transaction: ITransaction) => boolean;
  stopCapturing(): void;
}

/** What is used of `YNotebook`, the only implementation of a notebook's shared model. */
interface IYNotebook {
  undoManager?: IUndoManager;
  ymeta?: { get(key: string): unknown };
  ystate?: unknown;
}

export class UndoSteps {
  constructor(model: INotebookModel['sharedModel'], key: string) {
    const { undoManager, ymeta, ystate } = model as unknown as IYNotebook;
    const capture = undoManager?.captureTransaction;
    if (!undoManager || !ymeta || !capture) {
      return; // An implementation that we do not know: changes work, undo leaves them out.
    }
    undoManager.captureTransaction = transaction => {
      const isOtherMetadata = Array.from(transaction.changed).every(
        ([type, keys]) =>
          type === ymeta ||
          type === ystate ||
          (type === ymeta.get('metadata') && !keys.has(key))
      );
      return !isOtherMetadata && capture(transaction);
    };
    undoManager.addToScope(ymeta);
    this._manager = undoManager;
  }

  /** Make a change a step of its own: without this it is merged with what was typed just before. */
  step(change: () => void): void {
    this._manager?.stopCapturing();
    change();
    this._manager?.stopCapturing();
  }

  private readonly _manager: IUndoManager | null = null;
}

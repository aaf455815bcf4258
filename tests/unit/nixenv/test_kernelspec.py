from nixenv.kernelspec import kernel_json, self_starting


def test_kernelspec_for_a_jupyter_without_nixenv_names_no_provisioner():
    spec = kernel_json()
    alone = self_starting(spec)
    assert "kernel_provisioner" not in alone["metadata"]
    assert alone["metadata"]["debugger"] is True
    assert alone["argv"] == spec["argv"]
    assert alone["argv"][0].startswith("/")
    assert "kernel_provisioner" in spec["metadata"]
